using Microsoft.Extensions.Logging;
using Npgsql;
using Tributary.Postgres;
using Tributary.Postgres.Programs;

namespace Tributary.Branching.Following;

/// <summary>
/// Main: a physical standby of production in the pool, which all branches descend from. It runs outside the sandbox, since it must reach
/// production, and accepts nobody but Tributary on its socket. When it ends it is started again, with a growing pause.
/// </summary>
internal sealed class PhysicalFollower(
    BranchingOptions options, SourceFacts facts, IStorageDriver storage, IPostgresLauncher launcher, BaseBackup backup, string runDirectory,
    TimeProvider time, ILogger logger) : IAsyncDisposable
{
    public const string Volume = "main";

    /// <summary>Main replays what production writes and serves one query at a time.</summary>
    static readonly string[] MainSettings =
    [
        "shared_buffers = 64MB", "max_wal_size = 256MB", "recovery_min_apply_delay = 0", "hot_standby_feedback = off", "wal_level = replica",
        // A spare that was cloned a while ago still finds what main has replayed since.
        "wal_keep_size = 512MB",
    ];

    static readonly TimeSpan PositionPollInterval = TimeSpan.FromMilliseconds(5);

    readonly SemaphoreSlim _lock = new(1, 1);
    IRunningPostgres? _running;
    NpgsqlDataSource? _dataSource;

    /// <summary>Starts the standby on the data that is there, and waits until it accepts queries.</summary>
    /// <exception cref="ChildProcessException">It did not start.</exception>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        await EndOrphanAsync(cancellationToken);
        var passFile = Path.Combine(runDirectory, Volume, "passfile");
        Directory.CreateDirectory(Path.GetDirectoryName(passFile)!, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        await backup.WritePassFileAsync(passFile, cancellationToken);
        _running = await launcher.LaunchAsync(
            new LaunchSpec(Volume, storage.PathOf(Volume), [.. MainSettings, .. facts.RequiredSettings, .. backup.StandbySettings(passFile)])
            {
                Sandboxed = false,
                // A standby accepts queries once it is consistent: after a crash of ours that is the replay since its last restart point.
                StartTimeout = TimeSpan.FromMinutes(30),
            }, cancellationToken);
        _dataSource = new NpgsqlSlimDataSourceBuilder(
            $"Host={_running.SocketDirectory};Username={facts.Superuser};Database=postgres;Maximum Pool Size=2;Application Name=tributary").Build();
    }

    /// <summary>Keeps main running until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var pause = TimeSpan.FromSeconds(1);
        while (!cancellationToken.IsCancellationRequested)
        {
            var running = _running;
            if (running is not null)
                await running.Exited.WaitAsync(cancellationToken);
            await _lock.WaitAsync(cancellationToken);
            try
            {
                // One that was stopped on purpose is started again by whoever stopped it.
                if (running is not null && !ReferenceEquals(running, _running))
                    continue;
                Log.MainEnded(logger, pause.TotalSeconds);
                await Task.Delay(pause, time, cancellationToken);
                pause = TimeSpan.FromSeconds(Math.Min(60, pause.TotalSeconds * 2));
                await DropAsync();
                await StartAsync(cancellationToken);
                pause = TimeSpan.FromSeconds(1);
            }
            catch (ChildProcessException exception)
            {
                Log.MainStartFailed(logger, exception);
            }
            finally
            {
                _lock.Release();
            }
        }
    }

    /// <exception cref="NpgsqlException">Main does not answer.</exception>
    public async Task<MainPosition> PositionAsync(CancellationToken cancellationToken)
    {
        // When all that production has announced is replayed, the data is as new as the announcement; else as the last commit replayed.
        var source = _dataSource ?? throw new NpgsqlException("Main does not run.");
        await using var command = source.CreateCommand(
            """
            SELECT pg_last_wal_replay_lsn()::text,
                   greatest(pg_last_xact_replay_timestamp(), (SELECT CASE WHEN pg_last_wal_replay_lsn() >= latest_end_lsn THEN last_msg_send_time END FROM pg_stat_wal_receiver))
            """);
        await using var row = await command.ExecuteReaderAsync(cancellationToken);
        await row.ReadAsync(cancellationToken);
        var lsn = Lsn.Parse(row.GetString(0));
        return new MainPosition(lsn, await row.IsDBNullAsync(1, cancellationToken) ? time.GetUtcNow() : new DateTimeOffset(row.GetDateTime(1), TimeSpan.Zero));
    }

    /// <summary>Main's socket, through which spares follow it. It is there while main runs.</summary>
    public string SocketFile => Path.Combine(runDirectory, Volume, "socket", LaunchSpec.SocketFile);

    /// <summary>Waits until main has replayed up to a position; false when that takes too long.</summary>
    /// <exception cref="NpgsqlException">Main does not answer.</exception>
    public async Task<bool> WaitForAsync(Lsn position, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        while ((await PositionAsync(cancellationToken)).Lsn < position)
        {
            if (time.GetElapsedTime(started) > options.NowTimeout)
                return false;
            await Task.Delay(PositionPollInterval, time, cancellationToken);
        }

        return true;
    }

    /// <summary>Clones main's data as of one moment; where the driver's clones are not atomic, main stands still meanwhile.</summary>
    public async Task CloneAsync(string copy, CancellationToken cancellationToken)
    {
        await _lock.WaitAsync(cancellationToken);
        try
        {
            await MeetTimelineAsync(cancellationToken);
            await storage.CloneAsync(Volume, copy, _running, cancellationToken);
        }
        finally
        {
            _lock.Release();
        }
    }

    /// <summary>Whether main receives production's log now.</summary>
    /// <exception cref="NpgsqlException">Main does not answer.</exception>
    public async Task<bool> IsReceivingAsync(CancellationToken cancellationToken)
    {
        var source = _dataSource ?? throw new NpgsqlException("Main does not run.");
        await using var command = source.CreateCommand("SELECT EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming')");
        return await command.ExecuteScalarAsync(cancellationToken) is true;
    }

    /// <summary>The end of main's own log.</summary>
    public IReadOnlyList<string> LastLogLines() => new ComputeLog(Path.Combine(runDirectory, Volume, "postgres.log"), options.BranchLogBytesMax).Tail(50).Lines;

    /// <summary>Stops main in order. It can be started again.</summary>
    public async Task StopAsync()
    {
        await _lock.WaitAsync(CancellationToken.None);
        try
        {
            if (_running is { } running)
                await running.StopAsync(CancellationToken.None);
            await DropAsync();
        }
        finally
        {
            _lock.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _lock.Dispose();
    }

    // The crash recovery of a clone goes along the timeline of its last checkpoint alone, so after a failover main makes a restart point on the
    // new one as soon as production has a checkpoint there.
    async Task MeetTimelineAsync(CancellationToken cancellationToken)
    {
        var source = _dataSource ?? throw new NpgsqlException("Main does not run.");
        await using var question = source.CreateCommand(
            "SELECT c.timeline_id < r.received_tli FROM pg_control_checkpoint() c, pg_stat_wal_receiver r");
        if (await question.ExecuteScalarAsync(cancellationToken) is not true)
            return;
        await using var checkpoint = source.CreateCommand("CHECKPOINT");
        await checkpoint.ExecuteNonQueryAsync(cancellationToken);
    }

    async Task DropAsync()
    {
        if (_dataSource is { } source)
            await source.DisposeAsync();
        _dataSource = null;
        if (_running is { } running)
            await running.DisposeAsync();
        _running = null;
    }

    // A main whose Tributary was killed has received its own signal to end; a slow one is waited for, since two servers on one
    // data directory would destroy it. Postgres itself refuses that too.
    async Task EndOrphanAsync(CancellationToken cancellationToken)
    {
        var pidFile = Path.Combine(storage.PathOf(Volume), "postmaster.pid");
        var waited = time.GetTimestamp();
        while (File.Exists(pidFile) && int.TryParse(File.ReadLines(pidFile).FirstOrDefault(), out var pid) && RunsOn(pid, storage.PathOf(Volume)))
        {
            if (time.GetElapsedTime(waited) > options.StartTimeout)
                throw new ChildProcessException($"Another Postgres (process {pid}) still runs on {storage.PathOf(Volume)}; stop it and start again.");
            // One that was frozen for a clone when its Tributary was killed hears no signal before it goes on.
            foreach (var signal in new[] { "QUIT", "CONT" })
                await ChildProcesses.RunAsync(new ChildProcessSpec("/bin/kill", ["-s", signal, $"{pid}"]), cancellationToken);
            await Task.Delay(TimeSpan.FromMilliseconds(50), time, cancellationToken);
        }
    }

    static bool RunsOn(int pid, string dataDirectory)
    {
        try
        {
            return File.ReadAllText($"/proc/{pid}/cmdline").Split('\0').Contains(dataDirectory);
        }
        catch (IOException)
        {
            return false;
        }
    }
}
