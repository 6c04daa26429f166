using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Npgsql;
using Tributary.Postgres.Programs;
using Tributary.Testing;

namespace Tributary.Postgres.Tests;

/// <summary>Every way in, against a server that asks for it.</summary>
public sealed class ServerSessionTests(ServerSessionTests.SecuredServer secured) : IClassFixture<ServerSessionTests.SecuredServer>
{
    static readonly SessionParameters Parameters = new("session test", "-c search_path=", Replication: true);

    static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("by_scram", "disable", false)]
    [InlineData("by_scram", "allow", false)]
    [InlineData("by_scram", "prefer", true)]
    [InlineData("by_scram", "require", true)]
    [InlineData("by_md5", "require", true)]
    [InlineData("by_md5", "disable", false)]
    [InlineData("by_password", "require", true)]
    [InlineData("only_tls", "allow", true)]
    [InlineData("only_clear", "prefer", false)]
    public async Task The_user_gets_in_and_the_link_is_as_asked(string user, string sslMode, bool isEncrypted)
    {
        await using var session = await OpenAsync(secured.Url with { User = user, Password = SecuredServer.Password, SslMode = sslMode });

        Assert.Equal(isEncrypted, session.IsEncrypted);
        Assert.Equal(secured.Server.Installation.Major, session.ServerMajor);
        Assert.Equal([user, isEncrypted ? "t" : "f", null], Assert.Single(await session.QueryAsync(
            "SELECT current_user, (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), NULL", Cancelled)));
        Assert.Equal(secured.SystemIdentifier, Assert.Single(await session.QueryAsync("IDENTIFY_SYSTEM", Cancelled))[0]);
    }

    [Fact]
    public async Task A_unix_socket_is_a_folder_in_the_URL()
    {
        await using var session = await OpenAsync(secured.Url with { Host = secured.Server.SocketDirectory, SslMode = "require" });

        Assert.False(session.IsEncrypted);
        Assert.Equal("1", Assert.Single(await session.QueryAsync("SELECT 1", Cancelled))[0]);
    }

    [Theory]
    [InlineData("by_scram", "wrong", "28P01")]
    [InlineData("by_md5", "wrong", "28P01")]
    [InlineData("by_password", "wrong", "28P01")]
    [InlineData("nobody", "wrong", "28000")]
    [InlineData("only_tls", SecuredServer.Password, "28000")]
    public async Task A_wrong_password_or_user_is_the_servers_error_and_shows_nothing(string user, string password, string sqlState)
    {
        var error = await Assert.ThrowsAsync<ServerErrorException>(() => OpenAsync(secured.Url with { User = user, Password = password, SslMode = "disable" }));

        Assert.Equal(sqlState, error.SqlState);
        Assert.DoesNotContain(password, error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_missing_password_is_asked_for()
    {
        var error = await Assert.ThrowsAsync<SessionRefusedException>(() => OpenAsync(secured.Url with { User = "by_scram", Database = "none" }));

        Assert.Contains("asks for a password", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("verify-full", "127.0.0.1", true, true)]
    [InlineData("verify-ca", "localhost", true, true)]
    [InlineData("verify-full", "localhost", true, false)]
    [InlineData("verify-ca", "127.0.0.1", false, false)]
    [InlineData("verify-full", "127.0.0.1", false, false)]
    [InlineData("require", "localhost", false, true)]
    public async Task The_certificate_is_checked_as_far_as_the_mode_says(string sslMode, string host, bool knownAuthority, bool passes)
    {
        var url = secured.Url with
        {
            Host = host,
            User = "by_scram",
            Password = SecuredServer.Password,
            SslMode = sslMode,
            SslRootCert = knownAuthority ? secured.AuthorityFile : secured.StrangerFile,
        };

        if (passes)
        {
            await using var session = await OpenAsync(url);
            Assert.True(session.IsEncrypted);
            return;
        }

        var error = await Assert.ThrowsAsync<SessionRefusedException>(() => OpenAsync(url));
        Assert.Contains($"sslmode={sslMode}", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_without_TLS_is_refused_where_it_must_encrypt_and_taken_where_it_may()
    {
        var plain = await TestServers.SharedAsync();
        var url = secured.Url with { Port = plain.Port };

        var error = await Assert.ThrowsAsync<SessionRefusedException>(() => OpenAsync(url with { SslMode = "require" }));
        await using var session = await OpenAsync(url with { SslMode = "prefer" });

        Assert.Contains("has no TLS", error.Message, StringComparison.Ordinal);
        Assert.False(session.IsEncrypted);
    }

    [Fact]
    public async Task An_error_of_a_command_leaves_the_session_usable()
    {
        await using var session = await OpenAsync(secured.Url);

        var error = await Assert.ThrowsAsync<ServerErrorException>(() => session.QueryAsync("SELECT 'secret value'::int", Cancelled));

        Assert.Equal("22P02", error.SqlState);
        Assert.DoesNotContain("secret", error.ToString(), StringComparison.Ordinal);
        Assert.Equal("2", Assert.Single(await session.QueryAsync("SELECT 2", Cancelled))[0]);
    }

    [Fact]
    public async Task A_server_that_accepts_and_says_nothing_is_given_up_in_time()
    {
        using var silent = new System.Net.Sockets.TcpListener(IPAddress.Loopback, 0);
        silent.Start();
        var url = secured.Url with { Port = ((IPEndPoint)silent.LocalEndpoint).Port, SslMode = "disable" };

        await Assert.ThrowsAsync<TimeoutException>(() =>
            ServerSession.OpenAsync(url, Parameters with { OpenTimeout = TimeSpan.FromMilliseconds(200) }, TimeProvider.System, Cancelled));
    }

    static Task<ServerSession> OpenAsync(PostgresUrl url) => ServerSession.OpenAsync(url, Parameters, TimeProvider.System, Cancelled);

    /// <summary>A server with TLS, and a role for each way to authenticate.</summary>
    public sealed class SecuredServer : IAsyncLifetime
    {
        public const string Password = "correct horse, battery";

        PostgresServer? _server;

        public PostgresServer Server => _server!;

        public PostgresUrl Url => new() { Host = "127.0.0.1", Port = Server.Port, User = "postgres", Database = "postgres" };

        public string SystemIdentifier { get; private set; } = "";

        public string AuthorityFile { get; } = Path.Combine(TestFolder.New("authority"), "root.crt");

        public string StrangerFile { get; } = Path.Combine(TestFolder.New("stranger"), "root.crt");

        public async ValueTask InitializeAsync()
        {
            _server = await TestServers.StartAsync(["wal_level = logical"]);
            await WriteCertificatesAsync();
            await File.WriteAllLinesAsync(
                Path.Combine(Server.DataDirectory, "pg_hba.conf"),
                [
                    "local all all trust", "host all postgres all trust",
                    "host all by_scram all scram-sha-256", "host all by_md5 all md5", "host all by_password all password",
                    "hostssl all only_tls all scram-sha-256", "hostnossl all only_clear all scram-sha-256",
                ], Cancelled);
            await using var connection = new NpgsqlConnection(Server.ConnectionString() + ";Pooling=false");
            await connection.OpenAsync(Cancelled);
            foreach (var role in (string[])["by_scram", "by_md5", "by_password", "only_tls", "only_clear"])
            {
                await ExecuteAsync(connection, $"SET password_encryption = '{(role == "by_md5" ? "md5" : "scram-sha-256")}'");
                await ExecuteAsync(connection, $"CREATE ROLE {role} LOGIN REPLICATION PASSWORD '{Password}'");
            }

            await ExecuteAsync(connection, "ALTER SYSTEM SET ssl = on");
            await using var command = new NpgsqlCommand("SELECT pg_reload_conf(), system_identifier::text FROM pg_control_system()", connection);
            await using (var reader = await command.ExecuteReaderAsync(Cancelled))
            {
                await reader.ReadAsync(Cancelled);
                SystemIdentifier = reader.GetString(1);
            }

            // The postmaster reads its files again a moment after it has been told to.
            while (!await HasTlsAsync())
                await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System, Cancelled);
        }

        public async ValueTask DisposeAsync() => await Server.DisposeAsync();

        async Task<bool> HasTlsAsync()
        {
            try
            {
                await using var session = await OpenAsync(Url with { SslMode = "require" });
                return true;
            }
            catch (SessionRefusedException)
            {
                return false;
            }
        }

        async Task WriteCertificatesAsync()
        {
            using var key = RSA.Create(2048);
            using var authority = Authority(key, "CN=tests");
            using var strangerKey = RSA.Create(2048);
            using var stranger = Authority(strangerKey, "CN=tests");
            await File.WriteAllTextAsync(AuthorityFile, authority.ExportCertificatePem(), Cancelled);
            await File.WriteAllTextAsync(StrangerFile, stranger.ExportCertificatePem(), Cancelled);

            using var serverKey = RSA.Create(2048);
            var request = new CertificateRequest("CN=server", serverKey, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
            var names = new SubjectAlternativeNameBuilder();
            names.AddIpAddress(IPAddress.Loopback);
            request.CertificateExtensions.Add(names.Build());
            using var certificate = request.Create(authority, authority.NotBefore, authority.NotAfter, [1, 2, 3, 4]);
            var files = (Certificate: Path.Combine(Server.DataDirectory, "server.crt"), Key: Path.Combine(Server.DataDirectory, "server.key"));
            await File.WriteAllTextAsync(files.Certificate, certificate.ExportCertificatePem(), Cancelled);
            await File.WriteAllTextAsync(files.Key, serverKey.ExportPkcs8PrivateKeyPem(), Cancelled);
            File.SetUnixFileMode(files.Key, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            PostgresUser.Own(files.Certificate, files.Key);
        }

        static X509Certificate2 Authority(RSA key, string name)
        {
            var request = new CertificateRequest(name, key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
            request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, hasPathLengthConstraint: false, 0, critical: true));
            return request.CreateSelfSigned(TimeProvider.System.GetUtcNow().AddDays(-1), TimeProvider.System.GetUtcNow().AddDays(1));
        }

        static async Task ExecuteAsync(NpgsqlConnection connection, string sql)
        {
            await using var command = new NpgsqlCommand(sql, connection);
            await command.ExecuteNonQueryAsync(Cancelled);
        }
    }
}
