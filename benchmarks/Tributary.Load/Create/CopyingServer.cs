using System.Diagnostics;
using Npgsql;
using Tributary.Postgres.Programs;

namespace Tributary.Load.Create;

/// <summary>
/// What is used where there are no branches: a copy of the whole database, on a server of its own with the same data. How long it takes grows with
/// the data, and it is as of the copy's begin.
/// </summary>
sealed class CopyingServer(PostgresServer server, string contestant, Func<PostgresServer, string, CancellationToken, Task> copyAsync) : IBranchMaker
{
    const string Original = "original";

    public Role Role => Role.Peer;

    public string Contestant => contestant;

    public double CpuMs => ProcessMeter.EndedChildrenCpuMs() + (server.ProcessId is { } id ? ProcessMeter.CpuMs(id) : 0);

    /// <summary>Starts a server with the data on the machine's own file system.</summary>
    public static async Task<PostgresServer> StartAsync(PostgresInstallation installation, string folder, CancellationToken cancellationToken)
    {
        var server = await PostgresServer.CreateAsync(installation, Path.Combine(folder, "copying"), ["shared_buffers = 64MB"], cancellationToken);
        try
        {
            await ExecuteAsync(server, $"CREATE DATABASE {Original}", cancellationToken);
            await SeedDirectory.FillAsync(server, Original, cancellationToken);
            return server;
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }

    public static CopyingServer ByDump(PostgresServer server) => new(server, "pg_dump | psql", static async (server, name, cancellationToken) =>
    {
        await ExecuteAsync(server, $"""CREATE DATABASE "{name}" TEMPLATE template0""", cancellationToken);
        var connection = $"--host='{server.SocketDirectory}' --port={server.Port} --username=postgres";
        var pipe = $"set -o pipefail; '{server.Installation.ClientProgram("pg_dump")}' {connection} {Original} | '{server.Installation.ClientProgram("psql")}' -X -q -v ON_ERROR_STOP=1 {connection} '{name}'";
        (await ChildProcesses.RunAsync(new ChildProcessSpec("bash", ["-c", pipe]), cancellationToken)).EnsureSucceeded("pg_dump | psql");
    });

    public static CopyingServer ByTemplate(PostgresServer server) => new(
        server, "CREATE DATABASE … TEMPLATE", static (server, name, cancellationToken) => ExecuteAsync(server, $"""CREATE DATABASE "{name}" TEMPLATE {Original}""", cancellationToken));

    public async Task<MadeBranch> MakeAsync(string name, CancellationToken cancellationToken)
    {
        var started = Stopwatch.GetTimestamp();
        await copyAsync(server, name, cancellationToken);
        await using var connection = new NpgsqlConnection($"{server.ConnectionString(name)};Pooling=false");
        await connection.OpenAsync(cancellationToken);
        await using var command = new NpgsqlCommand(SeedDirectory.FirstRowQuery, connection);
        if ($"{await command.ExecuteScalarAsync(cancellationToken)}" != SeedDirectory.FirstRow)
            throw new InvalidOperationException($"The copy by {contestant} does not hold the rows.");
        return new MadeBranch(Stopwatch.GetElapsedTime(started), [], 0, async () => await ExecuteAsync(server, $"""DROP DATABASE "{name}" """, CancellationToken.None));
    }

    static async Task ExecuteAsync(PostgresServer server, string statement, CancellationToken cancellationToken)
    {
        await using var connection = new NpgsqlConnection($"{server.ConnectionString()};Pooling=false;Command Timeout=0");
        await connection.OpenAsync(cancellationToken);
        await using var command = new NpgsqlCommand(statement, connection);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
