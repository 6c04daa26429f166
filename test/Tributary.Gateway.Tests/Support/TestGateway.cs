using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using Tributary.Postgres.Programs;
using Tributary.Testing;

namespace Tributary.Gateway.Tests.Support;

/// <summary>A gateway that runs before a real Postgres, with one branch: <c>agent-42</c>, password <c>secret-of-42</c>.</summary>
sealed class TestGateway : IAsyncDisposable
{
    public const string Branch = "agent-42";
    public const string Password = "secret-of-42";

    readonly CancellationTokenSource _stop = new();
    readonly Task _running;

    TestGateway(GatewayListener listener, TestResolver resolver, PostgresServer server)
    {
        Listener = listener;
        Resolver = resolver;
        Server = server;
        _running = listener.RunAsync(_stop.Token);
    }

    public GatewayListener Listener { get; }

    public TestResolver Resolver { get; }

    public PostgresServer Server { get; }

    public int Port => Listener.Port;

    public static string SocketOf(PostgresServer server) => Path.Combine(server.SocketDirectory, $".s.PGSQL.{server.Port}");

    public static async Task<TestGateway> StartAsync(
        Func<GatewayOptions, GatewayOptions>? configure = null, PostgresServer? server = null, TimeProvider? timeProvider = null)
    {
        server ??= await TestServers.SharedAsync();
        var options = new GatewayOptions { Port = 0, DrainTimeout = TimeSpan.FromMilliseconds(200) };
        var resolver = TestResolver.ForSocket(SocketOf(server));
        resolver.Add(Branch, Password);
        var listener = new GatewayListener(configure?.Invoke(options) ?? options, resolver, timeProvider ?? TimeProvider.System, NullLoggerFactory.Instance);
        var bound = await listener.BindAsync(TestContext.Current.CancellationToken);
        Assert.Null(bound.Error);
        return new TestGateway(listener, resolver, server);
    }

    public string ConnectionString(string database = "postgres", string more = "") =>
        $"Host=127.0.0.1;Port={Port};Username=postgres;Password={Password};Database={database};Options=-c branch={Branch};{more}";

    public async Task<NpgsqlConnection> OpenAsync(string more = "Pooling=false")
    {
        var connection = new NpgsqlConnection(ConnectionString(more: more));
        await connection.OpenAsync(TestContext.Current.CancellationToken);
        return connection;
    }

    /// <summary>Runs psql without a terminal; the password as an environment variable, as a user would.</summary>
    public async Task<ProgramOutput> PsqlAsync(string conninfo, string command, string password = Password) =>
        await TestProgram.RunAsync(
            Server.Installation.Program("psql"), ["--no-psqlrc", "--no-password", "-At", "-c", command, $"host=127.0.0.1 port={Port} {conninfo}"],
            new Dictionary<string, string?> { ["PGPASSWORD"] = password, ["LC_ALL"] = "C" });

    public async Task<RawClient> ConnectRawAsync()
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPAddress.Loopback, Port, TestContext.Current.CancellationToken);
        return new RawClient(socket);
    }

    /// <summary>Stops the gateway and waits for its end.</summary>
    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await _running;
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        await Listener.DisposeAsync();
        _stop.Dispose();
    }
}
