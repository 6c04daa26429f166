using Microsoft.Extensions.Logging;
using Tributary.Branching.Archiving;
using Tributary.Branching.Catalog;
using Tributary.Branching.Following;
using Tributary.Branching.Seeding;

namespace Tributary.Branching;

/// <summary>
/// Keeps main at its source's heels and a fresh seed at hand.
/// <list type="number">
/// <item>Make main once: a copy of production, or an empty cluster; one that a crash interrupted is thrown away and begun anew.</item>
/// <item>Start it.</item>
/// <item>Whenever main has moved and the newest seed is old enough, make a seed; where it follows production keep spares ready for branches as of
/// now, and of a standby an archive for those of the past.</item>
/// <item>When production's log can never reach main again, begin anew with the copy.</item>
/// </list>
/// </summary>
internal sealed class MainKeeper : IAsyncDisposable
{
    public const string Volume = MainServer.Volume;

    internal const string MainFact = "main";
    internal const string Copying = "copying";
    internal const string Following = "following";

    static readonly TimeSpan RetryPauseMax = TimeSpan.FromMinutes(1);

    readonly BranchingOptions _options;
    readonly BranchCatalog _catalog;
    readonly IMain _main;
    readonly MainSeeds _seeds;
    readonly TimeProvider _time;
    readonly ILogger _logger;
    readonly SeedShelf _shelf;
    readonly SpareKeeper _spares;
    readonly ArchiveKeeper _archive;
    BranchingPhase _phase = BranchingPhase.Starting;
    double? _percent;
    MainPosition? _position;
    string? _lastError;

    public MainKeeper(
        BranchingOptions options, BranchCatalog catalog, IMain main, MainSeeds seeds, SeedShelf shelf, SpareKeeper spares, ArchiveKeeper archive,
        NowCuts cuts, PastCuts past, MainImport? import, TimeProvider time, ILogger logger)
    {
        (_options, _catalog, _main, _seeds, _time, _logger) = (options, catalog, main, seeds, time, logger);
        (_shelf, _spares, _archive, Cuts, Past, Import) = (shelf, spares, archive, cuts, past, import);
    }

    /// <summary>What branches as of now are made of.</summary>
    public NowCuts Cuts { get; }

    /// <summary>What branches of the past are made of.</summary>
    public PastCuts Past { get; }

    /// <summary>What dumps come into main by; null when main follows production.</summary>
    public MainImport? Import { get; }

    public BranchingStatus Describe(string driver, int branches, int running)
    {
        return new BranchingStatus(_options.Following, _phase, driver, _position?.Lsn, _percent, _shelf.Seeds, branches, running, _lastError ?? _main.Problem ?? _spares.LastError) { SparesReady = _spares.Ready, PastSince = _archive.Oldest?.DataTime };
    }

    /// <summary>What to tell somebody who wants a branch while there is no seed.</summary>
    public string WhyNoSeed() => _phase switch
    {
        BranchingPhase.BaseBackup => $"Production is still being copied ({_percent ?? 0:0} %); try again when `tributary status` shows a seed.",
        BranchingPhase.Failed => WhyFailed(),
        _ => "The first seed is being made; try again in a few seconds.",
    };

    /// <summary>What to tell somebody who wants a branch as of now while main does not serve for it; null when it does.</summary>
    public string? WhyNoNow() => _phase switch
    {
        BranchingPhase.Following or BranchingPhase.Serving => null,
        BranchingPhase.Failed => WhyFailed(),
        BranchingPhase.BaseBackup => WhyNoSeed(),
        _ when _options.Following == FollowingMode.None => "Main is being started; try again in a few seconds, or take the newest seed: tributary branch create --from-seed",
        _ => "Main is catching up with production; try again in a few seconds, or take the newest seed: tributary branch create --from-seed",
    };

    string WhyFailed() => _options.Following == FollowingMode.None ? $"Main does not run: {_lastError}" : $"Main does not follow production: {_lastError}";

    /// <summary>Holds the newest seed against removal until disposed; null when there is none.</summary>
    public SeedUse? UseNewestSeed() => _shelf.UseNewest();

    /// <summary>Whether the volume is a seed that new branches may be made of.</summary>
    public bool IsSeed(string volume) => _shelf.Has(volume);

    /// <summary>Holds a cut's seed against removal until disposed; null when it is gone.</summary>
    public SeedUse? UseSeed(SeedStatus seed) => _shelf.Use(seed);

    /// <summary>Removes seeds that a crash left half made.</summary>
    public async Task ReconcileAsync(CancellationToken cancellationToken)
    {
        await _shelf.ReconcileAsync(cancellationToken);
        await _archive.ReconcileAsync(cancellationToken);
    }

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            // Step 1: make main once.
            await UntilDoneAsync(EnsureMadeAsync, cancellationToken);

            // What production keeps for main grows also while main does not start, so both are watched from here on.
            using var round = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            var watching = _main.WatchAsync(round.Token);
            var keeping = KeepAsync(round.Token);
            await Task.WhenAny(watching, keeping);
            await round.CancelAsync();
            try
            {
                await keeping;
            }
            catch (OperationCanceledException) when (watching.IsCompletedSuccessfully)
            {
                // That is how they end.
            }

            // Step 4: begin anew.
            var why = await watching;
            await UntilDoneAsync(token => AbandonAsync(why, token), cancellationToken);
        }
    }

    async Task KeepAsync(CancellationToken cancellationToken)
    {
        // Step 2: start main.
        await UntilDoneAsync(StartAsync, cancellationToken);

        // Step 3: make seeds and spares, keep the archive.
        await OwnedLoops.RunAsync([_main.RunAsync, SeedLoopAsync, _spares.RunAsync, _archive.RunAsync], cancellationToken);
    }

    async Task AbandonAsync(string why, CancellationToken cancellationToken)
    {
        Log.MainCopiedAnew(_logger, why);
        _phase = BranchingPhase.BaseBackup;
        _lastError = $"Main is copied anew, since {why}.";
        _position = null;
        await _spares.ClearAsync();
        await _main.StopAsync();
        // Before what the pool may refuse: production's log grows as long as the slot is there.
        await _main.GiveUpAsync(cancellationToken);
        await _archive.ClearAsync(cancellationToken);
        await _shelf.RetireAsync(cancellationToken);
        _catalog.SetFact(MainFact, Copying);
    }

    async Task UntilDoneAsync(Func<CancellationToken, Task> step, CancellationToken cancellationToken)
    {
        var pause = TimeSpan.FromSeconds(1);
        while (true)
        {
            try
            {
                await step(cancellationToken);
                return;
            }
            catch (Exception exception) when (Obstacle.Is(exception))
            {
                _phase = BranchingPhase.Failed;
                _lastError = exception.Message;
                Log.MainFailed(_logger, pause.TotalSeconds, exception);
                await Task.Delay(pause, _time, cancellationToken);
                pause = TimeSpan.FromSeconds(Math.Min(RetryPauseMax.TotalSeconds, pause.TotalSeconds * 2));
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        await Cuts.DisposeAsync();
        await _spares.DisposeAsync();
        await _main.DisposeAsync();
        _seeds.Dispose();
    }

    async Task EnsureMadeAsync(CancellationToken cancellationToken)
    {
        var state = _catalog.Fact(MainFact);
        if (state == Following)
            return;
        if (_options.Following != FollowingMode.None)
            _phase = BranchingPhase.BaseBackup;
        // What refuses the first try has made nothing, so it is no repetition that comes after it.
        await _main.MakeAsync(state == Copying, () => _catalog.SetFact(MainFact, Copying), percent => _percent = percent, cancellationToken);
        _percent = null;
        _catalog.SetFact(MainFact, Following);
    }

    Task StartAsync(CancellationToken cancellationToken)
    {
        _phase = _options.Following == FollowingMode.None ? BranchingPhase.Starting : BranchingPhase.CatchingUp;
        return _main.StartAsync(cancellationToken);
    }

    async Task SeedLoopAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                _position = await _main.PositionAsync(cancellationToken);
                _phase = _options.Following == FollowingMode.None ? BranchingPhase.Serving : BranchingPhase.Following;
                if (_shelf.Newest is not { } newest || (_position.Lsn > newest.Lsn && _time.GetUtcNow() - newest.DataTime >= _options.SeedInterval))
                    await _seeds.AtLeastAsync(_position.Lsn, _position.DataTime, cancellationToken);
                _lastError = null;
            }
            catch (Exception exception) when (Obstacle.Is(exception))
            {
                // The branches and the seed before stay usable; the next round tries again.
                _lastError = exception.Message;
                Log.SeedFailed(_logger, "of this round", exception);
            }

            await Task.Delay(TimeSpan.FromSeconds(1), _time, cancellationToken);
        }
    }
}
