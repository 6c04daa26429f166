using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace Tributary.Postgres.Programs;

/// <summary>
/// A Postgres server of our own on this machine: made by <c>initdb</c>, run as a child process, reached on loopback and by a Unix socket.
/// It ends when this process ends, however that happens. Stopping it leaves its data directory; <see cref="DeleteAsync"/> removes that too.
/// </summary>
public sealed class PostgresServer : IAsyncDisposable
{
    readonly string _directory;
    Process? _process;

    PostgresServer(PostgresInstallation installation, string directory, int port)
    {
        Installation = installation;
        Port = port;
        _directory = directory;
    }

    public PostgresInstallation Installation { get; }

    public int Port { get; }

    public string DataDirectory => Path.Combine(_directory, "data");

    /// <summary>The folder of the Unix socket; <c>trust</c> for every local user, since only this folder's owner enters it.</summary>
    public string SocketDirectory => Path.Combine(_directory, "socket");

    public string LogFile => Path.Combine(_directory, "server.log");

    public int? ProcessId => _process is { HasExited: false } process ? process.Id : null;

    /// <summary>An Npgsql connection string over TCP for the superuser <c>postgres</c>.</summary>
    public string ConnectionString(string database = "postgres") => $"Host=127.0.0.1;Port={Port};Username=postgres;Database={database};Include Error Detail=true";

    /// <summary>A libpq URL over TCP for the superuser <c>postgres</c>.</summary>
    public string Url(string database = "postgres") => $"postgresql://postgres@127.0.0.1:{Port}/{database}";

    /// <summary>Makes a new cluster below <paramref name="directory"/> (which is created) and starts it.</summary>
    /// <param name="settings">Lines of <c>postgresql.conf</c>, for example <c>wal_level = logical</c>.</param>
    /// <exception cref="ChildProcessException">A program failed; the message holds its last words.</exception>
    public static async Task<PostgresServer> CreateAsync(
        PostgresInstallation installation, string directory, IReadOnlyList<string> settings, CancellationToken cancellationToken)
    {
        var server = new PostgresServer(installation, Path.GetFullPath(directory), FreePort());
        Directory.CreateDirectory(server._directory);
        Directory.CreateDirectory(server.SocketDirectory);
        PostgresUser.Own(server._directory, server.SocketDirectory);
        var initialised = await ChildProcesses.RunAsync(
            new ChildProcessSpec(installation.Program("initdb"),
            [
                "--pgdata", server.DataDirectory, "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8",
                "--data-checksums", "--no-sync",
            ])
            { AsPostgresUser = true }, cancellationToken);
        initialised.EnsureSucceeded("initdb");
        await File.AppendAllLinesAsync(
            Path.Combine(server.DataDirectory, "postgresql.conf"),
            [
                "listen_addresses = '127.0.0.1'", $"port = {server.Port}", $"unix_socket_directories = '{server.SocketDirectory}'",
                "unix_socket_permissions = 0700", .. settings,
            ],
            cancellationToken);
        await server.StartAsync(cancellationToken);
        return server;
    }

    /// <summary>Starts the server and waits until it accepts connections.</summary>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        _process = await ChildProcesses.StartAsync(
            new ChildProcessSpec(Installation.Program("postgres"), ["-D", DataDirectory])
            { AsPostgresUser = true, ParentDeathSignal = "QUIT", LogFile = LogFile }, cancellationToken);
        await WaitUntilReadyAsync(cancellationToken);
    }

    /// <summary>Stops the server: <c>INT</c> is a fast shutdown, <c>QUIT</c> an immediate one, <c>KILL</c> a crash. Waits for its end.</summary>
    public async Task StopAsync(string signal, CancellationToken cancellationToken)
    {
        if (_process is not { } process)
            return;
        if (!process.HasExited)
        {
            var sent = await ChildProcesses.RunAsync(new ChildProcessSpec("/bin/kill", ["-s", signal, $"{process.Id}"]), cancellationToken);
            if (!sent.Succeeded && !process.HasExited)
                sent.EnsureSucceeded("kill");
            await process.WaitForExitAsync(cancellationToken);
        }

        process.Dispose();
        _process = null;
    }

    /// <summary>Stops the server at once and removes all of it.</summary>
    public async Task DeleteAsync()
    {
        await DisposeAsync();
        if (Directory.Exists(_directory))
            Directory.Delete(_directory, recursive: true);
    }

    public async ValueTask DisposeAsync() => await StopAsync("QUIT", CancellationToken.None);

    /// <summary>A TCP port on loopback that was free a moment ago.</summary>
    public static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    async Task WaitUntilReadyAsync(CancellationToken cancellationToken)
    {
        // pg_isready asks over the socket without credentials; the loop ends with the server's end at the latest.
        var program = Installation.ClientProgram("pg_isready");
        while (true)
        {
            var ready = await ChildProcesses.RunAsync(
                new ChildProcessSpec(program, ["--quiet", "--host", SocketDirectory, "--port", $"{Port}"]), cancellationToken);
            if (ready.Succeeded)
                return;
            if (_process is not { HasExited: false })
                throw new ChildProcessException($"The Postgres server in {DataDirectory} ended while it started; its log {LogFile} says: {LastLines(LogFile)}");
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, cancellationToken);
        }
    }

    static string LastLines(string file) => File.Exists(file) ? string.Join(" | ", File.ReadLines(file).TakeLast(5)) : "(nothing)";
}
