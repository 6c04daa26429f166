using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Tributary.Gateway.Tests.Support;
using Tributary.Testing;

namespace Tributary.Gateway.Tests.Handshake;

public sealed class TlsTests
{
    static readonly byte[] SslRequest = [0, 0, 0, 8, 0x04, 0xD2, 0x16, 0x2F];
    static readonly (string Certificate, string Key) Files = MakeCertificate();

    [Fact]
    public async Task Psql_requires_and_verifies_tls()
    {
        await using var gateway = await StartAsync();

        var output = await gateway.PsqlAsync(
            $"user=postgres.agent-42 sslmode=verify-ca sslrootcert={Files.Certificate}", "SELECT 1");

        Assert.Equal((0, "1", ""), (output.ExitCode, output.Out, output.Error));
    }

    [Fact]
    public async Task Psql_that_requires_tls_fails_where_there_is_no_certificate()
    {
        await using var gateway = await TestGateway.StartAsync();

        var output = await gateway.PsqlAsync("user=postgres.agent-42 sslmode=require", "SELECT 1");

        Assert.Contains("server does not support SSL", output.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Host_name_of_the_tls_client_names_the_branch()
    {
        await using var gateway = await StartAsync();
        await using var client = await gateway.ConnectRawAsync();
        await client.SendAsync(SslRequest);
        Assert.Equal((byte)'S', await client.ReadByteAsync());
        await UpgradeAsync(client, "agent-42.branches.test", alpn: false);

        await client.SendStartupAsync(3 << 16, ("user", "postgres"));

        Assert.EndsWith("R 12;", await client.AuthenticateAsync(TestGateway.Password), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Direct_tls_is_served_with_alpn()
    {
        await using var gateway = await StartAsync();
        await using var client = await gateway.ConnectRawAsync();
        await UpgradeAsync(client, "localhost", alpn: true);

        await client.SendStartupAsync(3 << 16, ("user", "postgres.agent-42"));

        Assert.EndsWith("R 12;", await client.AuthenticateAsync(TestGateway.Password), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Direct_tls_without_alpn_is_refused()
    {
        await using var gateway = await StartAsync();
        await using var client = await gateway.ConnectRawAsync();
        await UpgradeAsync(client, "localhost", alpn: false);

        Assert.Equal("08P01", (await client.ReadErrorAsync()).SqlState);
    }

    [Fact]
    public async Task Bytes_sent_before_tls_is_made_are_refused()
    {
        await using var gateway = await StartAsync();
        await using var client = await gateway.ConnectRawAsync();

        await client.SendAsync((byte[])[.. SslRequest, .. "early"u8]);

        var error = await client.ReadErrorAsync();
        Assert.Equal(("08P01", "received unencrypted data after SSL request"), (error.SqlState, error.Message));
    }

    [Fact]
    public async Task Client_that_fails_at_tls_is_closed_without_words_in_the_clear()
    {
        await using var gateway = await StartAsync();
        await using var client = await gateway.ConnectRawAsync();
        await client.SendAsync(SslRequest);
        Assert.Equal((byte)'S', await client.ReadByteAsync());

        await client.SendAsync("this is no TLS record at all, and long enough to see that"u8.ToArray());
        client.EndSending();

        Assert.DoesNotContain((byte)'E', (await client.ReadToEndAsync()).Take(1));
    }

    static Task<TestGateway> StartAsync() => TestGateway.StartAsync(
        o => o with { TlsCertificateFile = Files.Certificate, TlsKeyFile = Files.Key, HostSuffix = "branches.test" });

    static async Task UpgradeAsync(RawClient client, string host, bool alpn)
    {
        using var own = X509CertificateLoader.LoadCertificateFromFile(Files.Certificate);
        var tls = new SslStream(client.Stream, leaveInnerStreamOpen: false);
        await tls.AuthenticateAsClientAsync(
            new SslClientAuthenticationOptions
            {
                TargetHost = host,
                EnabledSslProtocols = SslProtocols.None,
                ApplicationProtocols = alpn ? [new SslApplicationProtocol("postgresql")] : null,
                RemoteCertificateValidationCallback = (_, shown, _, _) => shown is not null && shown.Equals(own),
            },
            TestContext.Current.CancellationToken);
        client.Stream = tls;
    }

    static (string, string) MakeCertificate()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        using var certificate = request.CreateSelfSigned(TimeProvider.System.GetUtcNow().AddDays(-1), TimeProvider.System.GetUtcNow().AddDays(1));
        var folder = TestFolder.New("tls");
        var (certificateFile, keyFile) = (Path.Combine(folder, "server.crt"), Path.Combine(folder, "server.key"));
        File.WriteAllText(certificateFile, certificate.ExportCertificatePem());
        File.WriteAllText(keyFile, key.ExportPkcs8PrivateKeyPem());
        return (certificateFile, keyFile);
    }
}
