using System.Diagnostics;
using Npgsql;
using Tributary.Postgres.Programs;

namespace Tributary.Load;

/// <summary>A server started by nothing but its own program on a data directory that is there, reached by a Unix socket. No sandbox, no gateway, no password.</summary>
sealed class BarePostgres : IAsyncDisposable
{
    const string SocketPort = "5432"; // Names the socket file alone: it listens on no address.

    static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(1);

    readonly Process _process;
    readonly string _connectionString;

    BarePostgres(Process process, string connectionString) => (_process, _connectionString) = (process, connectionString);

    public int ProcessId => _process.Id;

    /// <summary>Starts it, and does not wait until it is ready.</summary>
    /// <param name="folder">Of the data directory; the log comes beside it.</param>
    /// <param name="socketDirectory">Is there, and belongs to the user that runs servers.</param>
    /// <exception cref="ChildProcessException">The program cannot be started.</exception>
    public static async Task<BarePostgres> StartAsync(
        PostgresInstallation installation, string folder, string socketDirectory, IReadOnlyList<(string Name, string Value)> settings, CancellationToken cancellationToken)
    {
        (string Name, string Value)[] all = [.. settings, ("listen_addresses", ""), ("unix_socket_directories", socketDirectory), ("port", SocketPort)];
        var process = await ChildProcesses.StartAsync(
            new ChildProcessSpec(installation.Program("postgres"), ["-D", Path.Combine(folder, "data"), .. all.SelectMany(static setting => new[] { "-c", $"{setting.Name}={setting.Value}" })])
            { AsPostgresUser = true, ParentDeathSignal = "QUIT", LogFile = $"{folder}.log" }, cancellationToken);
        return new BarePostgres(process, $"Host={socketDirectory};Port={SocketPort};Username=postgres;Database=postgres;Pooling=false");
    }

    /// <summary>Connects and asks, as soon as it lets anybody in.</summary>
    /// <exception cref="ChildProcessException">It has ended.</exception>
    /// <exception cref="InvalidOperationException">It answers something else.</exception>
    public async Task AskAsync(string query, string answer, CancellationToken cancellationToken)
    {
        await using var connection = await OpenAsync(cancellationToken);
        await using var command = new NpgsqlCommand(query, connection);
        var row = await command.ExecuteScalarAsync(cancellationToken);
        if ($"{row}" != answer)
            throw new InvalidOperationException($"The bare server answered {row} instead of {answer}.");
    }

    /// <summary>Stops it in order, so that the next start has nothing to recover.</summary>
    public async Task StopAsync() => await EndAsync("INT");

    /// <summary>Stops it at once.</summary>
    public async ValueTask DisposeAsync()
    {
        await EndAsync("QUIT");
        _process.Dispose();
    }

    async Task<NpgsqlConnection> OpenAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var connection = new NpgsqlConnection(_connectionString);
            try
            {
                await connection.OpenAsync(cancellationToken);
                return connection;
            }
            catch (NpgsqlException exception)
            {
                await connection.DisposeAsync();
                if (_process.HasExited)
                    throw new ChildProcessException($"The bare server ended with exit code {_process.ExitCode}: {exception.Message}");
                await Task.Delay(PollInterval, TimeProvider.System, cancellationToken);
            }
        }
    }

    async Task EndAsync(string signal)
    {
        if (!_process.HasExited)
            await ChildProcesses.RunAsync(new ChildProcessSpec("/bin/kill", ["-s", signal, $"{_process.Id}"]), CancellationToken.None);
        await _process.WaitForExitAsync(CancellationToken.None);
    }
}
