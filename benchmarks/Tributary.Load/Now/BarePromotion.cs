using System.Diagnostics;
using Npgsql;
using Tributary.Load.Create;
using Tributary.Postgres.Programs;

namespace Tributary.Load.Now;

/// <summary>
/// What a person would do who keeps a standby at hand: <c>SELECT pg_promote()</c>, then the first change. The standby is made before the
/// measured time, by a base backup into the same pool, and follows production until it is promoted.
/// </summary>
sealed class BarePromotion(PostgresServer production, LoopPool pool) : IBranchMaker
{
    public Role Role => Role.Ceiling;

    public string Contestant => "bare promote";

    public double CpuMs => ProcessMeter.EndedChildrenCpuMs();

    public async Task<MadeBranch> MakeAsync(string name, CancellationToken cancellationToken)
    {
        var folder = Path.Combine(pool.Path, name);
        var (process, connectionString) = await StartStandbyAsync(folder, cancellationToken);
        try
        {
            await using var superuser = new NpgsqlConnection(connectionString);
            await superuser.OpenAsync(cancellationToken);
            var started = Stopwatch.GetTimestamp();
            // A pg_promote that waits can hold a snapshot against which the replay itself waits, so it does not.
            await using (var promote = new NpgsqlCommand("SELECT pg_promote(wait => false)", superuser))
                await promote.ExecuteNonQueryAsync(cancellationToken);
            await using (var recovers = new NpgsqlCommand("SELECT pg_is_in_recovery()", superuser))
            {
                while (await recovers.ExecuteScalarAsync(cancellationToken) is true)
                    await Task.Delay(TimeSpan.FromMilliseconds(1), TimeProvider.System, cancellationToken);
            }

            var promoted = Stopwatch.GetElapsedTime(started);
            await using var connection = new NpgsqlConnection(connectionString);
            await connection.OpenAsync(cancellationToken);
            await using var command = new NpgsqlCommand(SeedDirectory.FirstWrite, connection);
            if ($"{await command.ExecuteScalarAsync(cancellationToken)}" != SeedDirectory.FirstRow)
                throw new InvalidOperationException("The promoted standby does not hold production's rows.");
            var elapsed = Stopwatch.GetElapsedTime(started);
            return new MadeBranch(elapsed, [("pg_promote", promoted), ("connect, write", elapsed - promoted)], ProcessMeter.TreeBytes(process.Id), () => RemoveAsync(process, folder));
        }
        catch
        {
            await RemoveAsync(process, folder);
            throw;
        }
    }

    async Task<(Process Process, string ConnectionString)> StartStandbyAsync(string folder, CancellationToken cancellationToken)
    {
        var installation = production.Installation;
        var socket = Path.Combine(pool.Path, $"{Path.GetFileName(folder)}-s");
        Directory.CreateDirectory(folder);
        Directory.CreateDirectory(socket);
        PostgresUser.Own(folder, socket);
        var data = Path.Combine(folder, "data");
        (await ChildProcesses.RunAsync(
            new ChildProcessSpec(installation.Program("pg_basebackup"),
                ["-D", data, "-R", "--checkpoint=fast", "--no-sync", "-X", "stream", "-h", production.SocketDirectory, "-p", $"{production.Port}", "-U", "postgres"])
            { AsPostgresUser = true }, cancellationToken)).EnsureSucceeded("pg_basebackup");
        var process = await ChildProcesses.StartAsync(
            new ChildProcessSpec(installation.Program("postgres"),
                ["-D", data, "-c", "listen_addresses=", "-c", $"unix_socket_directories={socket}", "-c", "port=5432", "-c", "shared_buffers=32MB", "-c", "synchronous_commit=off", "-c", "fsync=off"])
            { AsPostgresUser = true, ParentDeathSignal = "QUIT", LogFile = $"{folder}.log" }, cancellationToken);
        var connectionString = $"Host={socket};Port=5432;Username=postgres;Database=postgres;Pooling=false";
        while (!await AnswersAsync(connectionString, cancellationToken))
        {
            if (process.HasExited)
                throw new ChildProcessException($"The standby ended with exit code {process.ExitCode}.");
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, cancellationToken);
        }

        // What the base backup has written is flushed before the measured time, as it long is for a standby that has run for a while.
        (await ChildProcesses.RunAsync(new ChildProcessSpec("sync", ["--file-system", data]), cancellationToken)).EnsureSucceeded("sync");
        return (process, connectionString);
    }

    static async Task<bool> AnswersAsync(string connectionString, CancellationToken cancellationToken)
    {
        try
        {
            await using var connection = new NpgsqlConnection(connectionString);
            await connection.OpenAsync(cancellationToken);
            await using var command = new NpgsqlCommand("SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming' AND pg_wal_lsn_diff(latest_end_lsn, pg_last_wal_replay_lsn()) < 100000", connection);
            return await command.ExecuteScalarAsync(cancellationToken) is 1L;
        }
        catch (NpgsqlException)
        {
            return false;
        }
    }

    static async ValueTask RemoveAsync(Process process, string folder)
    {
        // An immediate shutdown waits for the server's own processes, which else would still write into the folder.
        if (!process.HasExited)
            await ChildProcesses.RunAsync(new ChildProcessSpec("/bin/kill", ["-s", "QUIT", $"{process.Id}"]), CancellationToken.None);
        await process.WaitForExitAsync(CancellationToken.None);
        process.Dispose();
        Directory.Delete(folder, recursive: true);
        Directory.Delete($"{folder}-s", recursive: true);
    }
}
