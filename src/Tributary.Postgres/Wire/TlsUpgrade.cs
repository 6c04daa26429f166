using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Tributary.Postgres.Wire;

/// <summary>
/// Turns a fresh connection into an encrypted one. Certificates are where libpq looks for them: the URL's <c>sslrootcert</c>, <c>PGSSLROOTCERT</c> or <c>~/.postgresql/root.crt</c>
/// for the server's authority (the machine's authorities when there is none), <c>PGSSLCERT</c> and <c>PGSSLKEY</c> or <c>~/.postgresql/postgresql.crt</c>
/// and <c>.key</c> for the client's own.
/// Source: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL and https://www.postgresql.org/docs/current/libpq-ssl.html
/// </summary>
public static class TlsUpgrade
{
    /// <summary>Asks the server for TLS; null when it answers that it has none. Exactly one byte is read in clear, so nothing sent ahead is taken for encrypted.</summary>
    /// <exception cref="AuthenticationException">The handshake failed, or the certificate is not what <paramref name="url"/>'s sslmode demands.</exception>
    public static async Task<SslStream?> TryAsync(NetworkStream plain, PostgresUrl url, CancellationToken cancellationToken)
    {
        await plain.WriteAsync(StartupPacket.BuildSslRequest(), cancellationToken);
        var answer = new byte[1];
        await plain.ReadExactlyAsync(answer, cancellationToken);
        if (answer[0] != (byte)'S')
            return answer[0] == (byte)'N' ? null : throw new IOException("The server answered a request for TLS with neither S nor N; it may not be a Postgres server.");
        var encrypted = new SslStream(plain);
        try
        {
            await encrypted.AuthenticateAsClientAsync(Options(url), cancellationToken);
            return encrypted;
        }
        catch
        {
            await encrypted.DisposeAsync();
            throw;
        }
    }

    /// <summary>
    /// What a SCRAM exchange binds to, so that nobody in the middle can pass it on: the hash of the server's certificate (tls-server-end-point, RFC 5929
    /// section 4.1). Null for a certificate whose signature names no hash.
    /// </summary>
    public static byte[]? EndPointBinding(SslStream stream)
    {
        if (stream.RemoteCertificate is not X509Certificate2 certificate)
            return null;
        HashAlgorithmName? hash = certificate.SignatureAlgorithm.Value switch
        {
            // MD5 and SHA-1 count as SHA-256 there.
            "1.2.840.113549.1.1.4" or "1.2.840.113549.1.1.5" or "1.2.840.113549.1.1.11" or "1.2.840.10045.4.1" or "1.2.840.10045.4.3.2" => HashAlgorithmName.SHA256,
            "1.2.840.113549.1.1.12" or "1.2.840.10045.4.3.3" => HashAlgorithmName.SHA384,
            "1.2.840.113549.1.1.13" or "1.2.840.10045.4.3.4" => HashAlgorithmName.SHA512,
            _ => null,
        };
        return hash is { } name ? certificate.GetCertHash(name) : null;
    }

    static SslClientAuthenticationOptions Options(PostgresUrl url)
    {
        var options = new SslClientAuthenticationOptions
        {
            TargetHost = url.Host,
            CertificateRevocationCheckMode = X509RevocationMode.NoCheck, // As libpq without a revocation list.
            RemoteCertificateValidationCallback = (_, _, _, errors) => Accepts(url.SslMode, errors),
        };
        if ((url.SslRootCert ?? FileOf("PGSSLROOTCERT", "root.crt")) is { } root)
        {
            var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
            policy.CustomTrustStore.ImportFromPemFile(root);
            options.CertificateChainPolicy = policy;
        }

        if (FileOf("PGSSLCERT", "postgresql.crt") is { } certificate && FileOf("PGSSLKEY", "postgresql.key") is { } key)
            options.ClientCertificates = [X509Certificate2.CreateFromPemFile(certificate, key)];
        return options;
    }

    // https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION
    static bool Accepts(string sslMode, SslPolicyErrors errors) => sslMode switch
    {
        "verify-full" => errors == SslPolicyErrors.None,
        "verify-ca" => (errors & ~SslPolicyErrors.RemoteCertificateNameMismatch) == SslPolicyErrors.None,
        _ => true,
    };

    static string? FileOf(string variable, string defaultName)
    {
        var path = Environment.GetEnvironmentVariable(variable) is { Length: > 0 } named
            ? named
            : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".postgresql", defaultName);
        return File.Exists(path) ? path : null;
    }
}
