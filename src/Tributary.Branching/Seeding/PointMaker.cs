using System.Globalization;
using Npgsql;
using Tributary.Postgres;
using Tributary.Postgres.Programs;

namespace Tributary.Branching.Seeding;

/// <summary>
/// Makes a volume of a moment of production's past.
/// <list type="number">
/// <item>Clone a base image from before the moment, and put the log that follows into it.</item>
/// <item>Start it in the sandbox as a standby that ends its recovery at the moment; more log is put in as it asks for it.</item>
/// <item>At the moment it is a primary: read the exact position, defuse it.</item>
/// <item>Checkpoint, stop, flush.</item>
/// </list>
/// Source: https://www.postgresql.org/docs/current/runtime-config-wal.html#RUNTIME-CONFIG-WAL-RECOVERY-TARGET
/// </summary>
internal sealed class PointMaker(BranchingOptions options, SourceFacts facts, IStorageDriver storage, IPostgresLauncher launcher, TimeProvider time)
{
    static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(20);

    static readonly string[] StandbySettings = ["hot_standby = on", "wal_retrieve_retry_interval = 100ms", "max_standby_archive_delay = 0"];

    readonly Defuser _defuser = new(options, facts, time);

    /// <param name="number">Of the branch that it becomes; its volume is replaced.</param>
    /// <param name="baseVolume">An image that holds nothing after the moment.</param>
    /// <param name="end">A position by which production had committed all that it had until the moment.</param>
    /// <param name="copyLog">Puts the log that follows the image into a data directory, as far as it is there by then.</param>
    /// <returns>Where production was, and when by its clock it had last committed; the latter is null when nothing tells.</returns>
    /// <exception cref="StorageException">The pool refuses.</exception>
    /// <exception cref="ChildProcessException">The recovery failed or took too long.</exception>
    /// <exception cref="NpgsqlException">The server does not answer.</exception>
    public async Task<(Lsn Lsn, DateTimeOffset? CommittedAt)> MakeAsync(
        long number, string baseVolume, BranchPoint point, Lsn end, Func<string, CancellationToken, Task> copyLog, CancellationToken cancellationToken)
    {
        // Step 1: clone, and put the log in.
        await storage.CloneAsync(baseVolume, Branch.VolumeOf(number), cancellationToken);
        var path = storage.PathOf(Branch.VolumeOf(number));
        DataDirectory.Strip(path, asStandby: true);
        var wal = Path.Combine(path, "pg_wal");
        await copyLog(wal, cancellationToken);

        // Step 2: recover. Where production has written nothing since the moment, recovery waits for the first record after it, and a promotion
        // short of a target is an error; so it begins again without a target, on the log that is there.
        await using (var recovering = await StartAsync(number, path, Target(point), cancellationToken))
        {
            if (await RecoverAsync(recovering.Connection, end, token => copyLog(wal, token), cancellationToken))
                return await FinishAsync(recovering, path, cancellationToken);
            await recovering.Running.StopAsync(cancellationToken);
        }

        await using var last = await StartAsync(number, path, [], cancellationToken);
        await RecoverAsync(last.Connection, end, moreLog: null, cancellationToken);
        await last.Connection.ExecuteAsync("SELECT pg_promote()", cancellationToken);
        return await FinishAsync(last, path, cancellationToken);
    }

    async Task<(Lsn Lsn, DateTimeOffset? CommittedAt)> FinishAsync(Recovery recovery, string path, CancellationToken cancellationToken)
    {
        // Step 3: read the position, defuse.
        var connection = recovery.Connection;
        var lsn = await connection.ReplayedAsync(cancellationToken);
        var committedAt = await LastCommitAsync(connection, cancellationToken);
        await _defuser.DefuseAsync(connection, cancellationToken);
        await SeedResidue.LeaveLogBehindAsync(connection, cancellationToken);
        var timeline = await SeedResidue.TimelineAsync(connection, cancellationToken);

        // Step 4: checkpoint, stop, flush. What was put in while the recovery ended is of production's timeline, and no checkpoint removes it.
        await recovery.Running.StopAsync(cancellationToken);
        SeedResidue.RemoveOtherTimelines(path, timeline);
        await PoolFlush.FlushAsync(path, cancellationToken);
        return (lsn, committedAt);
    }

    async Task<Recovery> StartAsync(long number, string path, IReadOnlyList<string> target, CancellationToken cancellationToken)
    {
        var running = await launcher.LaunchAsync(
            new LaunchSpec(Branch.FolderOf(number), path, [.. SeedMaker.RecoverySettings, .. StandbySettings, .. facts.RequiredSettings, .. target]) { StartTimeout = options.SpareStartTimeout }, cancellationToken);
        try
        {
            return new Recovery(running, await _defuser.ConnectAsync(running.SocketDirectory, cancellationToken));
        }
        catch
        {
            await running.DisposeAsync();
            throw;
        }
    }

    // True when recovery has ended by itself; false when it waits for log beyond the end, which nobody puts there any more.
    async Task<bool> RecoverAsync(NpgsqlConnection connection, Lsn end, Func<CancellationToken, Task>? moreLog, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        while (true)
        {
            var (isOver, replayed, isWaiting) = await StateAsync(connection, cancellationToken);
            if (isOver)
                return true;
            if (isWaiting && replayed >= end)
                return false;
            if (time.GetElapsedTime(started) > options.SpareStartTimeout)
                throw new ChildProcessException($"The recovery was at {replayed} after {options.SpareStartTimeout.TotalMinutes:0} min, short of {end}.");
            if (isWaiting && moreLog is not null)
                await moreLog(cancellationToken);
            await Task.Delay(PollInterval, time, cancellationToken);
        }
    }

    // The wait events of a standby without log are in https://www.postgresql.org/docs/current/monitoring-stats.html#WAIT-EVENT-TABLE.
    static async Task<(bool IsOver, Lsn Replayed, bool IsWaiting)> StateAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        try
        {
            await using var command = new NpgsqlCommand(
                """
                SELECT NOT pg_is_in_recovery(), coalesce(pg_last_wal_replay_lsn(), '0/0')::text,
                       EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'startup' AND wait_event IN ('RecoveryRetrieveRetryInterval', 'RecoveryWalStream'))
                """, connection);
            await using var row = await command.ExecuteReaderAsync(cancellationToken);
            await row.ReadAsync(cancellationToken);
            return (row.GetBoolean(0), Lsn.Parse(row.GetString(1)), row.GetBoolean(2));
        }
        catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.SerializationFailure)
        {
            // The replay goes before a query that is in its way.
            return (false, Lsn.Zero, false);
        }
    }

    static async Task<DateTimeOffset?> LastCommitAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("SELECT pg_last_xact_replay_timestamp()", connection);
        return await command.ExecuteScalarAsync(cancellationToken) is DateTime moment ? new DateTimeOffset(moment, TimeSpan.Zero) : null;
    }

    // A position is where a record ends, and the next one begins there: what begins at the target is beyond it. The zone is a number, since
    // Postgres 18 reads the settings before it knows names of zones, Z among them.
    static IReadOnlyList<string> Target(BranchPoint point) =>
    [
        point.Time is { } time
            ? string.Create(CultureInfo.InvariantCulture, $"recovery_target_time = '{time.UtcDateTime:yyyy-MM-dd HH:mm:ss.ffffff}+00'")
            : $"recovery_target_lsn = '{point}'",
        $"recovery_target_inclusive = {(point.Lsn is null ? "on" : "off")}",
        "recovery_target_action = promote",
    ];

    sealed record Recovery(IRunningPostgres Running, NpgsqlConnection Connection) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync()
        {
            await Connection.DisposeAsync();
            await Running.DisposeAsync();
        }
    }
}
