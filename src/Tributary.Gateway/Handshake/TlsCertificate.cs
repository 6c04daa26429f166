using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Tributary.Gateway.Handshake;

/// <summary>The certificate that the gateway shows, read once when it starts.</summary>
static class TlsCertificate
{
    /// <summary>Reads the two files; a fault names the file and what to do.</summary>
    public static (SslStreamCertificateContext? Context, string? Fault) Load(string certificateFile, string keyFile)
    {
        foreach (var file in new[] { certificateFile, keyFile })
            if (!File.Exists(file))
                return (null, $"the TLS file {file} does not exist: correct the setting, or leave out both the certificate and the key to serve without TLS");
        try
        {
            var issuers = new X509Certificate2Collection();
            issuers.ImportFromPemFile(certificateFile);
            var certificate = X509Certificate2.CreateFromPemFile(certificateFile, keyFile);
            return (SslStreamCertificateContext.Create(certificate, issuers, offline: true), null);
        }
        catch (Exception exception) when (exception is CryptographicException or ArgumentException or UnauthorizedAccessException or IOException)
        {
            return (null, $"the TLS certificate {certificateFile} with the key {keyFile} cannot be used: {exception.Message} " +
                "Both must be PEM, belong together, be readable by this process, and the key must not be encrypted.");
        }
    }
}
