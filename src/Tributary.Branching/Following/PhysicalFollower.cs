using Microsoft.Extensions.Logging;
using Npgsql;
using Tributary.Postgres;

namespace Tributary.Branching.Following;

/// <summary>
/// A main that is a physical standby of production. It runs outside the sandbox, since it must reach production.
/// </summary>
internal sealed class PhysicalFollower : IMain
{
    /// <summary>Main replays what production writes and serves one query at a time.</summary>
    static readonly string[] MainSettings =
    [
        "shared_buffers = 64MB", "max_wal_size = 256MB", "recovery_min_apply_delay = 0", "hot_standby_feedback = off", "wal_level = replica",
        // A spare that was cloned a while ago still finds what main has replayed since.
        "wal_keep_size = 512MB",
    ];

    static readonly TimeSpan PositionPollInterval = TimeSpan.FromMilliseconds(5);

    /// <summary>A stop of ours waits for it.</summary>
    static readonly TimeSpan ForgetLimit = TimeSpan.FromSeconds(10);

    readonly BranchingOptions _options;
    readonly SourceFacts _facts;
    readonly IStorageDriver _storage;
    readonly BaseBackup _backup;
    readonly MainServer _server;
    readonly ProductionSlot _slot;
    readonly FollowWatch _watch;
    readonly SourcePosition _source;
    readonly TimeProvider _time;
    readonly ILogger _logger;

    public PhysicalFollower(BranchingOptions options, SourceFacts facts, IStorageDriver storage, BaseBackup backup, MainServer server, TimeProvider time, ILogger logger)
    {
        (_options, _facts, _storage, _backup, _server, _time, _logger) = (options, facts, storage, backup, server, time, logger);
        _slot = new ProductionSlot(options, facts.SystemIdentifier);
        _watch = new FollowWatch(options, _slot, IsReceivingAsync, server.LastLogLines, time, logger);
        _source = new SourcePosition(options, facts.SystemIdentifier, time);
    }

    public string? Problem => _watch.Problem;

    public async Task MakeAsync(bool isRepeated, Action onBegin, Action<double> onPercent, CancellationToken cancellationToken)
    {
        await _slot.ClearAsync(isRepeated, cancellationToken);
        onBegin();
        Log.BaseBackupBegins(_logger, _options.Production.ToString());
        await _storage.CreateAsync(MainServer.Volume, cancellationToken);
        try
        {
            await _backup.TakeAsync(_server.DataDirectory, onPercent, cancellationToken);
        }
        catch
        {
            await ForgetAsync();
            throw;
        }
    }

    // What a failed copy has left would fill the pool, and its slot would make production keep its log, until the next try. That removes them too.
    async Task ForgetAsync()
    {
        using var limit = new CancellationTokenSource(ForgetLimit, _time);
        try
        {
            await _storage.DeleteAsync(MainServer.Volume, CancellationToken.None);
            await _slot.GiveUpAsync(_time, limit.Token);
        }
        catch (Exception exception) when (exception is OperationCanceledException || Obstacle.Is(exception))
        {
            Log.FailedCopyLeft(_logger, exception);
        }
    }

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        var passFile = Path.Combine(_server.Folder, "passfile");
        Directory.CreateDirectory(_server.Folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        await _backup.WritePassFileAsync(passFile, cancellationToken);
        await _server.StartAsync(
            new LaunchSpec(MainServer.Volume, _server.DataDirectory, [.. MainSettings, .. _facts.RequiredSettings, .. _backup.StandbySettings(passFile)])
            {
                Sandboxed = false,
                // A standby accepts queries once it is consistent: after a crash of ours that is the replay since its last restart point.
                StartTimeout = TimeSpan.FromMinutes(30),
            }, cancellationToken);
        Log.MainFollows(_logger, _options.Production.ToString());
    }

    public Task RunAsync(CancellationToken cancellationToken) => _server.RunAsync(cancellationToken);

    public Task<string> WatchAsync(CancellationToken cancellationToken) => _watch.RunAsync(cancellationToken);

    public async Task<MainPosition> PositionAsync(CancellationToken cancellationToken)
    {
        // When all that production has announced is replayed, the data is as new as the announcement; else as the last commit replayed, and when
        // none was, as the checkpoint that the replay began at.
        await using var command = _server.Source.CreateCommand(
            """
            SELECT pg_last_wal_replay_lsn()::text,
                   greatest(pg_last_xact_replay_timestamp(), (SELECT CASE WHEN pg_last_wal_replay_lsn() >= latest_end_lsn THEN last_msg_send_time END FROM pg_stat_wal_receiver)),
                   (SELECT checkpoint_time FROM pg_control_checkpoint())
            """);
        await using var row = await command.ExecuteReaderAsync(cancellationToken);
        await row.ReadAsync(cancellationToken);
        var lsn = Lsn.Parse(row.GetString(0));
        return new MainPosition(lsn, new DateTimeOffset(row.GetDateTime(await row.IsDBNullAsync(1, cancellationToken) ? 2 : 1), TimeSpan.Zero));
    }

    public Task<bool> WaitForAsync(Lsn position, TimeSpan limit, CancellationToken cancellationToken) =>
        _server.HoldsAsync(async token => (await PositionAsync(token)).Lsn >= position, PositionPollInterval, limit, cancellationToken);

    // What production writes is main's own log.
    public Task<Lsn?> InOwnLogAsync(Lsn position, TimeSpan limit, CancellationToken cancellationToken) => Task.FromResult<Lsn?>(position);

    public Task<Lsn> SeparateAsync(NpgsqlConnection copy, CancellationToken cancellationToken) => copy.ReplayedAsync(cancellationToken);

    // What is cloned replays all that production has written since main's restart point, and has the pages of that for itself. After a failover
    // it also goes along that point's timeline alone. So main makes one for each checkpoint of production's that it has replayed.
    public Task CloneAsync(string copy, CancellationToken cancellationToken) => _server.CloneAsync(copy, _server.CheckpointAsync, cancellationToken);

    public Task<Lsn> RestartPointAsync(CancellationToken cancellationToken) => _server.RestartPointAsync(cancellationToken);

    public Task StopAsync() => _server.StopAsync();

    public Task GiveUpAsync(CancellationToken cancellationToken) => _slot.GiveUpAsync(_time, cancellationToken);

    // A position says nothing across a failover: what main has of the old timeline beyond the fork is not production's. A main that has come
    // onto the new one had nothing beyond the fork, nor has any seed or spare of it.
    public async Task<MomentOfSource> AcknowledgedAsync(CancellationToken cancellationToken)
    {
        var moment = await _source.InsertedAsync(cancellationToken);
        var timeline = moment.Timeline;
        if (timeline is not null && !await _server.HoldsAsync(async token => await TimelineAsync(token) == timeline, PositionPollInterval, _options.NowTimeout, cancellationToken))
        {
            throw new BranchingException(new BranchError(
                BranchErrorKind.NotReady,
                $"Main does not receive timeline {timeline}, on which production is, within {_options.NowTimeout.TotalSeconds:0} s; `tributary status` shows why. A branch of the newest seed needs no production: tributary branch create --from-seed"));
        }

        return moment;
    }

    public Task<MomentOfSource> FlushedAsync(CancellationToken cancellationToken) => _source.FlushedAsync(cancellationToken);

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        await _source.DisposeAsync();
    }

    /// <summary>The timeline that main receives; null while it receives none.</summary>
    async Task<int?> TimelineAsync(CancellationToken cancellationToken)
    {
        await using var command = _server.Source.CreateCommand("SELECT received_tli FROM pg_stat_wal_receiver");
        return await command.ExecuteScalarAsync(cancellationToken) as int?;
    }

    /// <summary>Whether main receives production's log now.</summary>
    /// <exception cref="NpgsqlException">Main does not answer.</exception>
    async Task<bool> IsReceivingAsync(CancellationToken cancellationToken)
    {
        await using var command = _server.Source.CreateCommand("SELECT EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming')");
        return await command.ExecuteScalarAsync(cancellationToken) is true;
    }
}
