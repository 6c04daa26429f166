using System.Net;
using System.Net.Sockets;
using Tributary.Postgres.Programs;
using Tributary.Server.Tests.Support;
using Tributary.Testing;

namespace Tributary.Server.Tests.Hosting;

/// <summary>Each way in which a start fails: a kind, words that say what to do, and nothing left behind.</summary>
public sealed class StartFailureTests
{
    [Fact]
    public async Task Production_that_does_not_answer()
    {
        var failure = await FailsCleanlyAsync(Production.Configuration(Production.Url($"postgresql://u@127.0.0.1:{PostgresServer.FreePort()}/shop")).WithBranching("none"));

        Assert.Equal(FailureKind.SourceUnsuitable, failure.Kind);
        Assert.Contains("Connection refused", failure.Message, StringComparison.Ordinal);
        Assert.Contains("host and port", failure.Hint, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_wrong_password_is_refused_without_being_repeated()
    {
        var postgres = await TestServers.StartAsync(["wal_level = logical"]);
        await Production.ExecuteAsync(postgres.ConnectionString(), "CREATE ROLE secured LOGIN SUPERUSER PASSWORD 'right'");
        var rules = Path.Combine(postgres.DataDirectory, "pg_hba.conf");
        await File.WriteAllTextAsync(rules, "host all secured 127.0.0.1/32 scram-sha-256\n" + await File.ReadAllTextAsync(rules, Production.Token), Production.Token);
        await postgres.StopAsync("INT", Production.Token);
        await postgres.StartAsync(Production.Token);

        var failure = await FailsCleanlyAsync(Production.Configuration(Production.Url($"postgresql://secured:wr0ng@127.0.0.1:{postgres.Port}/postgres")).WithBranching("none"));

        Assert.Equal(FailureKind.SourceUnsuitable, failure.Kind);
        Assert.Contains("user and password", failure.Hint, StringComparison.Ordinal);
        Assert.DoesNotContain("wr0ng", failure.Message + failure.Hint, StringComparison.Ordinal);
        await postgres.DeleteAsync();
    }

    [Fact]
    public async Task Production_without_the_wal_level_for_streams()
    {
        var postgres = await TestServers.StartAsync(["wal_level = replica"]);

        var failure = await FailsCleanlyAsync(Production.Configuration(Production.Url(postgres.Url())).WithStream("none", Production.Url(postgres.Url("template1"))));

        Assert.Equal(FailureKind.SourceUnsuitable, failure.Kind);
        Assert.Contains("wal_level is replica; streams need logical", failure.Message, StringComparison.Ordinal);
        Assert.Contains("ALTER SYSTEM SET wal_level = 'logical'; then restart", failure.Hint, StringComparison.Ordinal);
        await postgres.DeleteAsync();
    }

    [Fact]
    public async Task A_role_that_may_not_replicate()
    {
        var postgres = await TestServers.SharedAsync();
        await Production.ExecuteAsync(postgres.ConnectionString(), "CREATE ROLE \"no Rights\" LOGIN");

        var failure = await FailsCleanlyAsync(Production.Configuration(Production.Url($"postgresql://no%20Rights@127.0.0.1:{postgres.Port}/postgres")).WithBranching("none"));

        Assert.Equal(FailureKind.SourceUnsuitable, failure.Kind);
        Assert.Contains("ALTER ROLE \"no Rights\" REPLICATION;", failure.Hint, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_target_that_is_not_there()
    {
        var postgres = await TestServers.SharedAsync();
        var source = await postgres.DatabaseAsync("SELECT 1");

        var failure = await FailsCleanlyAsync(Production.Configuration(source).WithStream("none", Production.Url(postgres.Url("nowhere"))));

        Assert.Equal(FailureKind.TargetUnsuitable, failure.Kind);
        Assert.Contains("no database \"nowhere\"", failure.Message, StringComparison.Ordinal);
        Assert.Contains("CREATE DATABASE \"nowhere\";", failure.Hint, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_taken_gateway_port()
    {
        var source = Production.Url((await TestServers.SharedAsync()).Url());
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();

        var failure = await FailsCleanlyAsync(Production.Configuration(source).WithBranching("none") with { Gateway = new GatewayConfiguration { Listen = (IPEndPoint)taken.LocalEndpoint } });

        Assert.Equal(FailureKind.PortTaken, failure.Kind);
        Assert.Contains("gateway.listen", failure.Hint, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_taken_port_of_the_api()
    {
        var source = Production.Url((await TestServers.SharedAsync()).Url());
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        var configuration = Production.Configuration(source);

        var failure = await FailsCleanlyAsync(configuration with { Api = configuration.Api with { Listen = (IPEndPoint)taken.LocalEndpoint } });

        Assert.Equal(FailureKind.PortTaken, failure.Kind);
        Assert.Contains("api.listen", failure.Hint, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_certificate_that_is_none()
    {
        var source = Production.Url((await TestServers.SharedAsync()).Url());
        var file = Path.Combine(TestFolder.New("tls"), "no.pem");
        await File.WriteAllTextAsync(file, "nothing", Production.Token);
        var configuration = Production.Configuration(source).WithBranching("none");

        var failure = await FailsCleanlyAsync(configuration with { Gateway = configuration.Gateway with { TlsCertificate = file, TlsKey = file } });

        Assert.Equal(FailureKind.BadCertificate, failure.Kind);
        Assert.Contains("tls-certificate", failure.Hint, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_disk_without_room_for_main()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "mounting a small disk needs root");
        var source = Production.Url((await TestServers.SharedAsync()).Url());
        var disk = TestFolder.New("disk");
        await RunAsync("mount", "-t", "tmpfs", "-o", "size=64m", "none", disk);
        try
        {
            var failure = await FailsCleanlyAsync(Production.Configuration(source, Path.Combine(disk, "state")).WithBranching("none"));

            Assert.Equal(FailureKind.NoSpace, failure.Kind);
            Assert.Matches($"main needs [0-9]+ MB; the disk of {disk}/state has 6[0-9] MB free", failure.Message);
            Assert.Contains("--state", failure.Hint, StringComparison.Ordinal);
        }
        finally
        {
            await RunAsync("umount", disk);
        }
    }

    [Fact]
    public async Task A_state_folder_that_another_server_uses()
    {
        var source = Production.Url((await TestServers.SharedAsync()).Url());
        var configuration = Production.Configuration(source);
        await using var server = await TestServer.StartAsync(configuration);

        var failure = await TestServer.FailAsync(configuration);
        var onItsSocket = await TestServer.FailAsync(Production.Configuration(source) with { Api = configuration.Api });

        Assert.Equal((FailureKind.AlreadyRunning, FailureKind.AlreadyRunning), (failure.Kind, onItsSocket.Kind));
        Assert.Contains($"pid {Environment.ProcessId}", failure.Message, StringComparison.Ordinal);
        Assert.True((await server.Client.GetStatusAsync(Production.Token)).Succeeded);
    }

    [Fact]
    public async Task A_socket_that_a_killed_server_left_is_taken_over()
    {
        var configuration = Production.Configuration(Production.Url((await TestServers.SharedAsync()).Url()));
        Directory.CreateDirectory(configuration.StateDirectory);
        using (var left = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            left.Bind(new UnixDomainSocketEndPoint(configuration.Api.Socket + "-"));
            // Disposal removes the file by the name that was bound; a killed process removes nothing.
            File.Move(configuration.Api.Socket + "-", configuration.Api.Socket);
        }

        Assert.True(Path.Exists(configuration.Api.Socket));

        await using (var server = await TestServer.StartAsync(configuration))
            Assert.True((await server.Client.GetStatusAsync(Production.Token)).Succeeded);

        Assert.False(Path.Exists(configuration.Api.Socket));
    }

    static async Task<OperationFailure> FailsCleanlyAsync(TributaryConfiguration configuration)
    {
        var failure = await TestServer.FailAsync(configuration);

        Assert.False(Directory.Exists(configuration.StateDirectory), $"{configuration.StateDirectory} was left");
        Assert.False(Production.IsMounted(configuration.StateDirectory));
        return failure;
    }

    static async Task RunAsync(string program, params string[] arguments) =>
        (await ChildProcesses.RunAsync(new ChildProcessSpec(program, arguments), CancellationToken.None)).EnsureSucceeded(program);
}
