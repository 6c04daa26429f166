using Microsoft.Extensions.Logging;
using Npgsql;
using Tributary.Postgres;
using Tributary.Postgres.Programs;

namespace Tributary.Branching.Following;

/// <summary>
/// A main that production's rows are streamed into. It is an ordinary primary in the sandbox, and the feed's commits are its only changes; each
/// carries production's position, so that a copy of main knows what it holds.
/// <list type="number">
/// <item>Make an empty cluster with production's database and the names of its roles, and let the feed copy the rows that exist.</item>
/// <item>Let the feed bring every change, and ask production now and then where it is, so that one at rest is known to be at rest.</item>
/// <item>When production has not kept what comes next, say so: main is made anew.</item>
/// </list>
/// All positions are production's, except where a spare is waited for, which replays main's own log.
/// </summary>
internal sealed class LogicalFollower : IMain
{
    /// <summary>Spares follow main, and one that was cloned a while ago still finds what main has written since.</summary>
    static readonly string[] Settings =
    [
        "shared_buffers = 128MB", "max_wal_size = 512MB", "maintenance_work_mem = 128MB", "wal_level = replica", "wal_keep_size = 512MB",
        "wal_compression = on", "synchronous_commit = on",
    ];

    static readonly TimeSpan ProgressInterval = TimeSpan.FromMilliseconds(500);

    /// <summary>How often the position is read while it is waited for: a query over a socket takes a tenth of that.</summary>
    static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(2);

    /// <summary>How old production's position may look while production rests.</summary>
    static readonly TimeSpan AskInterval = TimeSpan.FromSeconds(5);

    static readonly TimeSpan WatchInterval = TimeSpan.FromSeconds(5);

    static readonly TimeSpan RetryPauseMax = TimeSpan.FromMinutes(1);

    readonly PostgresInstallation _installation;
    readonly BranchingOptions _options;
    readonly SourceFacts _facts;
    readonly MainServer _server;
    readonly IMainFeed _feed;
    readonly ProductionSlot _slot;
    readonly LogicalDatabase _database;
    readonly SourcePosition _source;
    readonly KnownMoments _moments = new();
    readonly TimeProvider _time;
    readonly ILogger _logger;
    TaskCompletionSource<string> _gap = new(TaskCreationOptions.RunContinuationsAsynchronously);
    volatile string? _problem;

    public LogicalFollower(
        PostgresInstallation installation, BranchingOptions options, SourceFacts facts, MainServer server, IMainFeed feed, TimeProvider time, ILogger logger)
    {
        (_installation, _options, _facts, _server, _feed, _time, _logger) = (installation, options, facts, server, feed, time, logger);
        _slot = new ProductionSlot(options, facts.SystemIdentifier);
        _database = new LogicalDatabase(options, server, logger);
        _source = new SourcePosition(options, facts.SystemIdentifier, time);
    }

    public string? Problem => _problem ?? _feed.Status.LastError;

    public async Task MakeAsync(bool isRepeated, Action onBegin, Action<double> onPercent, CancellationToken cancellationToken)
    {
        // Step 1: an empty cluster, and the rows that exist.
        await _slot.ClearAsync(isRepeated, cancellationToken);
        onBegin();
        Log.RowCopyBegins(_logger, _options.Production.ToString(), _installation.Major);
        await _server.InitializeAsync(_installation, OwnMain.Superuser, cancellationToken);
        await StartServerAsync(cancellationToken);
        try
        {
            await _database.MakeAsync(cancellationToken);
            await CopyAsync(onPercent, cancellationToken);
        }
        finally
        {
            _database.Clear();
            await _server.StopAsync();
        }
    }

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        await StartServerAsync(cancellationToken);
        Log.MainFollows(_logger, _options.Production.ToString());
    }

    public Task RunAsync(CancellationToken cancellationToken) =>
        OwnedLoops.RunAsync([_server.RunAsync, FeedAsync, AskAsync], cancellationToken);

    public async Task<string> WatchAsync(CancellationToken cancellationToken)
    {
        // Step 3: what production has not kept.
        _gap = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        while (true)
        {
            if (await Task.WhenAny(_gap.Task, Task.Delay(WatchInterval, _time, cancellationToken)) == _gap.Task)
                return await _gap.Task;
            cancellationToken.ThrowIfCancellationRequested();
            try
            {
                var look = await _slot.LookAsync(cancellationToken);
                if (!look.Exists)
                    return $"production has no slot '{_options.SlotName}' any more";
                if (look.Over is not null)
                    return look.Over;
            }
            catch (Exception exception) when (Obstacle.Is(exception))
            {
                // Production does not answer, or another cluster does; the feed waits for it.
            }
        }
    }

    public async Task<MainPosition> PositionAsync(CancellationToken cancellationToken)
    {
        var (lsn, writtenAt) = await _database.ProgressAsync(cancellationToken);
        return new MainPosition(lsn, _moments.NewestUntil(lsn) ?? writtenAt);
    }

    public Task<bool> WaitForAsync(Lsn position, TimeSpan limit, CancellationToken cancellationToken) =>
        _server.HoldsAsync(async token => (await _database.ProgressAsync(token)).Lsn >= position, PollInterval, limit, cancellationToken);

    public async Task<Lsn?> InOwnLogAsync(Lsn position, TimeSpan limit, CancellationToken cancellationToken)
    {
        if (!await WaitForAsync(position, limit, cancellationToken))
            return null;
        await using var command = _server.Source.CreateCommand("SELECT pg_current_wal_flush_lsn()::text");
        return Lsn.Parse((string)(await command.ExecuteScalarAsync(cancellationToken))!);
    }

    public Task<Lsn> SeparateAsync(NpgsqlConnection copy, CancellationToken cancellationToken) => _database.SeparateAsync(copy, cancellationToken);

    // What is cloned has little to replay after a checkpoint.
    public Task CloneAsync(string copy, CancellationToken cancellationToken) => _server.CloneAsync(copy, _server.CheckpointAsync, cancellationToken);

    public Task<Lsn> RestartPointAsync(CancellationToken cancellationToken) => _server.RestartPointAsync(cancellationToken);

    public Task StopAsync() => _server.StopAsync();

    public Task GiveUpAsync(CancellationToken cancellationToken) => _slot.GiveUpAsync(_time, cancellationToken);

    public async Task<MomentOfSource> AcknowledgedAsync(CancellationToken cancellationToken)
    {
        var moment = await _source.MarkedAsync(cancellationToken);
        _moments.Add(moment);
        return moment;
    }

    public Task<MomentOfSource> FlushedAsync(CancellationToken cancellationToken) => _source.FlushedAsync(cancellationToken);

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        await _database.DisposeAsync();
        await _source.DisposeAsync();
    }

    Task StartServerAsync(CancellationToken cancellationToken) => _server.StartAsync(
        // After a crash all its log is replayed.
        new LaunchSpec(MainServer.Volume, _server.DataDirectory, [.. Settings, .. _facts.RequiredSettings]) { StartTimeout = TimeSpan.FromMinutes(30) }, cancellationToken);

    async Task CopyAsync(Action<double> onPercent, CancellationToken cancellationToken)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var feeding = _feed.RunAsync(_database.Url, end.Token);
        try
        {
            while (!_feed.Status.HoldsExistingRows)
            {
                if (await Task.WhenAny(feeding, Task.Delay(ProgressInterval, _time, cancellationToken)) == feeding)
                    await feeding;
                cancellationToken.ThrowIfCancellationRequested();
                onPercent(_feed.Status.CopiedPercent);
            }
        }
        catch (MainFeedException exception)
        {
            throw new BranchingException(new BranchError(BranchErrorKind.SourceUnsuitable, exception.Message));
        }
        finally
        {
            await end.CancelAsync();
            await feeding.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    async Task FeedAsync(CancellationToken cancellationToken)
    {
        // Step 2: every change.
        var pause = TimeSpan.FromSeconds(1);
        while (true)
        {
            var started = _time.GetTimestamp();
            try
            {
                _problem = null;
                await _feed.RunAsync(_database.Url, cancellationToken);
                cancellationToken.ThrowIfCancellationRequested();
            }
            catch (MainFeedException exception)
            {
                _problem = exception.Message;
                if (exception.IsGap && await IsProductionAsync(cancellationToken))
                    _gap.TrySetResult(exception.Message);
                Log.FeedFailed(_logger, pause.TotalSeconds, exception.Message);
            }

            if (_time.GetElapsedTime(started) > RetryPauseMax)
                pause = TimeSpan.FromSeconds(1);
            await Task.Delay(pause, _time, cancellationToken);
            pause = TimeSpan.FromSeconds(Math.Min(RetryPauseMax.TotalSeconds, pause.TotalSeconds * 2));
        }
    }

    // What another cluster has not kept says nothing of production.
    async Task<bool> IsProductionAsync(CancellationToken cancellationToken)
    {
        try
        {
            await _slot.LookAsync(cancellationToken);
            return true;
        }
        catch (Exception exception) when (Obstacle.Is(exception))
        {
            _problem = exception.Message;
            return false;
        }
    }

    async Task AskAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                await AcknowledgedAsync(cancellationToken);
            }
            catch (BranchingException)
            {
                // Production does not answer, and main's data grows old.
            }

            await Task.Delay(AskInterval, _time, cancellationToken);
        }
    }
}
