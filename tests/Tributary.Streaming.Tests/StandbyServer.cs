using System.Diagnostics;
using Tributary.Postgres.Programs;
using Tributary.Testing;

namespace Tributary.Streaming.Tests;

/// <summary>A physical standby of a test's server, made by pg_basebackup; it ends with its disposal.</summary>
sealed class StandbyServer : IAsyncDisposable
{
    readonly Process _process;

    StandbyServer(Process process, int port) => (_process, Port) = (process, port);

    public int Port { get; }

    public string ConnectionString(string? database) => $"Host=127.0.0.1;Port={Port};Username=postgres;Database={database};Pooling=false";

    public static async Task<StandbyServer> StartAsync(PostgresServer primary, CancellationToken cancellationToken)
    {
        var folder = TestFolder.New("sb");
        PostgresUser.Own(folder);
        (await ChildProcesses.RunAsync(
            new ChildProcessSpec(primary.Installation.ClientProgram("pg_basebackup"), ["--pgdata", Path.Combine(folder, "data"), "--checkpoint=fast", "--write-recovery-conf", "--dbname", primary.Url()])
            { AsPostgresUser = true }, cancellationToken)).EnsureSucceeded("pg_basebackup");
        var port = PostgresServer.FreePort();
        await File.AppendAllLinesAsync(
            Path.Combine(folder, "data", "postgresql.conf"), [$"port = {port}", $"unix_socket_directories = '{folder}'", "hot_standby = on"], cancellationToken);
        return new StandbyServer(
            await ChildProcesses.StartAsync(
                new ChildProcessSpec(primary.Installation.Program("postgres"), ["-D", Path.Combine(folder, "data")])
                { AsPostgresUser = true, ParentDeathSignal = "QUIT", LogFile = Path.Combine(folder, "log") }, cancellationToken), port);
    }

    /// <summary>Waits until a query answers true, which it cannot before the standby takes connections.</summary>
    public Task UntilAsync(string? database, string sql) => StreamHarness.UntilAsync(async () =>
    {
        try
        {
            return await StreamHarness.ScalarAsync(ConnectionString(database), sql) is true;
        }
        catch (Npgsql.NpgsqlException)
        {
            return false;
        }
    });

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
            _process.Kill();
        await _process.WaitForExitAsync();
        _process.Dispose();
    }
}
