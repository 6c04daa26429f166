using Microsoft.Extensions.Logging;
using Npgsql;
using Tributary.Branching.Catalog;
using Tributary.Branching.Compute;
using Tributary.Branching.Following;
using Tributary.Branching.Seeding;
using Tributary.Branching.Storage;
using Tributary.Postgres.Programs;

namespace Tributary.Branching;

/// <summary>
/// Keeps main at production's heels and a fresh seed at hand.
/// <list type="number">
/// <item>Copy production once, by a base backup; a copy that a crash interrupted is thrown away and begun anew.</item>
/// <item>Start main as a standby.</item>
/// <item>Whenever main has moved and the newest seed is old enough, make a seed and remove those that are no longer needed.</item>
/// </list>
/// </summary>
internal sealed class MainKeeper : IAsyncDisposable
{
    public const string Volume = PhysicalFollower.Volume;

    internal const string MainFact = "main";
    const string Copying = "copying";
    const string Following = "following";

    static readonly TimeSpan RetryPauseMax = TimeSpan.FromMinutes(1);

    readonly BranchingOptions _options;
    readonly IStorageDriver _storage;
    readonly BranchCatalog _catalog;
    readonly BaseBackup _backup;
    readonly PhysicalFollower _follower;
    readonly SeedMaker _seedMaker;
    readonly TimeProvider _time;
    readonly ILogger _logger;
    readonly Lock _seedLock = new();
    readonly Dictionary<string, int> _seedUses = [];
    List<SeedStatus> _seeds;
    BranchingPhase _phase = BranchingPhase.Starting;
    double? _percent;
    MainPosition? _position;
    string? _lastError;

    MainKeeper(
        BranchingOptions options, IStorageDriver storage, BranchCatalog catalog, BaseBackup backup, PhysicalFollower follower, SeedMaker seedMaker,
        TimeProvider time, ILogger logger)
    {
        (_options, _storage, _catalog, _backup, _follower, _seedMaker, _time, _logger) = (options, storage, catalog, backup, follower, seedMaker, time, logger);
        _seeds = [.. catalog.Seeds()];
    }

    public static MainKeeper Compose(
        BranchingOptions options, SourceFacts facts, Pool pool, BranchCatalog catalog, TimeProvider time, ILogger logger,
        out IPostgresLauncher launcher, out string runDirectory)
    {
        runDirectory = Path.Combine(options.StateDirectory, "run");
        Directory.CreateDirectory(runDirectory);
        var installation = PostgresInstallation.Find(facts.Major);
        launcher = new PostgresLauncher(installation, runDirectory, ControlGroups.Open(options.StateDirectory, ControlGroups.MachineRoot, logger), time, logger);
        var backup = new BaseBackup(installation, options);
        var follower = new PhysicalFollower(options, facts, pool.Driver, launcher, backup, runDirectory, time, logger);
        var seedMaker = new SeedMaker(options, facts, pool.Driver, launcher, time, logger);
        return new MainKeeper(options, pool.Driver, catalog, backup, follower, seedMaker, time, logger);
    }

    public BranchingStatus Describe(string driver, int branches, int running)
    {
        lock (_seedLock)
            return new BranchingStatus(_phase, driver, _position?.Lsn, _percent, [.. _seeds], branches, running, _lastError);
    }

    /// <summary>What to tell somebody who wants a branch while there is no seed.</summary>
    public string WhyNoSeed() => _phase switch
    {
        BranchingPhase.BaseBackup => $"Production is still being copied ({_percent ?? 0:0} %); try again when `tributary status` shows a seed.",
        BranchingPhase.Failed => $"Main does not follow production: {_lastError}",
        _ => "The first seed is being made; try again in a few seconds.",
    };

    /// <summary>Holds the newest seed against removal until disposed; null when there is none.</summary>
    public SeedUse? UseNewestSeed()
    {
        lock (_seedLock)
        {
            if (_seeds is not [var newest, ..])
                return null;
            _seedUses[newest.Id] = _seedUses.GetValueOrDefault(newest.Id) + 1;
            return new SeedUse(newest, SeedMaker.VolumeOf(newest.Id), () =>
            {
                lock (_seedLock)
                    _seedUses[newest.Id]--;
            });
        }
    }

    /// <summary>Removes seeds that a crash left half made.</summary>
    public async Task ReconcileAsync(CancellationToken cancellationToken)
    {
        var known = _seeds.Select(seed => SeedMaker.VolumeOf(seed.Id)).ToHashSet(StringComparer.Ordinal);
        foreach (var volume in _storage.List("seeds").Where(volume => !known.Contains(volume)))
        {
            Log.Reconciled(_logger, volume);
            await _storage.DeleteAsync(volume, cancellationToken);
        }
    }

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var pause = TimeSpan.FromSeconds(1);
        while (true)
        {
            try
            {
                // Step 1: copy production once.
                await EnsureCopiedAsync(cancellationToken);

                // Step 2: start main.
                _phase = BranchingPhase.CatchingUp;
                await _follower.StartAsync(cancellationToken);
                Log.MainFollows(_logger, _options.Source.ToString());
                break;
            }
            catch (Exception exception) when (exception is ChildProcessException or StorageException or NpgsqlException or BranchingException or IOException)
            {
                _phase = BranchingPhase.Failed;
                _lastError = exception.Message;
                Log.MainFailed(_logger, pause.TotalSeconds, exception);
                await Task.Delay(pause, _time, cancellationToken);
                pause = TimeSpan.FromSeconds(Math.Min(RetryPauseMax.TotalSeconds, pause.TotalSeconds * 2));
            }
        }

        // Step 3: make seeds.
        await Task.WhenAll(_follower.RunAsync(cancellationToken), SeedLoopAsync(cancellationToken));
    }

    public ValueTask DisposeAsync() => _follower.DisposeAsync();

    async Task EnsureCopiedAsync(CancellationToken cancellationToken)
    {
        var state = _catalog.Fact(MainFact);
        if (state == Following)
            return;
        if (state == Copying)
            await _backup.DropSlotAsync(cancellationToken);
        else if (await _backup.HasSlotAsync(cancellationToken))
        {
            throw new BranchingException(new BranchError(BranchErrorKind.SourceUnsuitable,
                $"Production already has a replication slot '{_options.SlotName}', which this state folder did not make. If nothing uses it, run there: SELECT pg_drop_replication_slot('{_options.SlotName}'); else set branching.slot to another name."));
        }

        _phase = BranchingPhase.BaseBackup;
        _catalog.SetFact(MainFact, Copying);
        Log.BaseBackupBegins(_logger, _options.Source.ToString());
        await _storage.CreateAsync(Volume, cancellationToken);
        await _backup.TakeAsync(_storage.PathOf(Volume), percent => _percent = percent, cancellationToken);
        _percent = null;
        _catalog.SetFact(MainFact, Following);
    }

    async Task SeedLoopAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                _position = await _follower.PositionAsync(cancellationToken);
                _phase = BranchingPhase.Following;
                if (_seeds is not [var newest, ..] || (_position.Lsn > newest.Lsn && _time.GetUtcNow() - newest.DataTime >= _options.SeedInterval))
                    await MakeSeedAsync(_position, cancellationToken);
                _lastError = null;
            }
            catch (Exception exception) when (exception is ChildProcessException or StorageException or NpgsqlException or IOException)
            {
                // The branches and the seed before stay usable; the next round tries again.
                _lastError = exception.Message;
                Log.SeedFailed(_logger, "of this round", exception);
            }

            await Task.Delay(TimeSpan.FromSeconds(1), _time, cancellationToken);
        }
    }

    async Task MakeSeedAsync(MainPosition position, CancellationToken cancellationToken)
    {
        var id = $"{_time.GetUtcNow().UtcDateTime:yyyyMMdd-HHmmss-fff}";
        var seed = await _seedMaker.MakeAsync(id, position.DataTime, _follower.CloneAsync, cancellationToken);
        _catalog.AddSeed(seed);
        List<SeedStatus> surplus;
        lock (_seedLock)
        {
            _seeds = [seed, .. _seeds];
            surplus = [.. _seeds.Skip(_options.SeedsKept).Where(old => _seedUses.GetValueOrDefault(old.Id) == 0)];
            _seeds = [.. _seeds.Except(surplus)];
            foreach (var old in surplus)
                _seedUses.Remove(old.Id);
        }

        foreach (var old in surplus)
        {
            _catalog.RemoveSeed(old.Id);
            await _storage.DeleteAsync(SeedMaker.VolumeOf(old.Id), cancellationToken);
        }
    }
}

/// <summary>Holds a seed against removal while it is cloned.</summary>
internal sealed class SeedUse(SeedStatus seed, string volume, Action release) : IDisposable
{
    public SeedStatus Seed { get; } = seed;

    public string Volume { get; } = volume;

    public void Dispose() => release();
}
