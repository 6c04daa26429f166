using Microsoft.Extensions.Logging;
using Tributary.Branching.Catalog;
using Tributary.Branching.Seeding;

namespace Tributary.Branching;

/// <summary>
/// The seeds that branches are cloned from, newest first. A seed in use is not removed, and one that a branch began as is kept for its reset;
/// those beyond the kept ones are removed.
/// </summary>
/// <param name="isBirth">Whether a branch began as this volume.</param>
internal sealed class SeedShelf(BranchingOptions options, IStorageDriver storage, BranchCatalog catalog, Func<string, bool> isBirth, TimeProvider time, ILogger logger)
{
    readonly Lock _lock = new();
    readonly Dictionary<string, int> _uses = [];
    List<SeedStatus> _seeds = [.. catalog.Seeds()];

    public IReadOnlyList<SeedStatus> Seeds
    {
        get
        {
            lock (_lock)
                return [.. _seeds];
        }
    }

    public SeedStatus? Newest
    {
        get
        {
            lock (_lock)
                return _seeds is [var newest, ..] ? newest : null;
        }
    }

    /// <summary>Names sort by time, so that the newest seed is the last.</summary>
    public string NextId() => $"{time.GetUtcNow().UtcDateTime:yyyyMMdd-HHmmss-fff}";

    /// <summary>Holds the newest seed against removal until disposed; null when there is none.</summary>
    public SeedUse? UseNewest()
    {
        lock (_lock)
            return _seeds is [var newest, ..] ? Hold(newest) : null;
    }

    /// <summary>Holds this seed against removal until disposed; null when it is gone.</summary>
    public SeedUse? Use(SeedStatus seed)
    {
        lock (_lock)
            return _seeds.Contains(seed) ? Hold(seed) : null;
    }

    /// <summary>Puts a finished seed on the shelf and removes those that are no longer needed.</summary>
    public async Task AddAsync(SeedStatus seed, CancellationToken cancellationToken)
    {
        catalog.AddSeed(seed);
        lock (_lock)
            _seeds = [.. _seeds.Append(seed).OrderByDescending(known => known.Lsn).ThenByDescending(known => known.Id, StringComparer.Ordinal)];
        await RemoveSurplusAsync(cancellationToken);
    }

    /// <summary>Removes what a crash left half made.</summary>
    public Task ReconcileAsync(CancellationToken cancellationToken) =>
        storage.RemoveUnknownAsync("seeds", volume => Has(volume) || isBirth(volume), logger, cancellationToken);

    /// <summary>Whether the volume is a seed that new branches may be made of.</summary>
    public bool Has(string volume) => Seeds.Any(seed => SeedMaker.VolumeOf(seed.Id) == volume);

    /// <summary>Makes no new branch of the seeds that there are: production's log has begun anew. What a branch began as stays for its reset.</summary>
    public async Task RetireAsync(CancellationToken cancellationToken)
    {
        List<(SeedStatus Seed, bool IsUsed)> retired;
        lock (_lock)
        {
            retired = [.. _seeds.Select(seed => (seed, _uses.GetValueOrDefault(seed.Id) > 0))];
            _seeds = [];
        }

        // All rows before any volume: a pool that refuses would leave seeds of another history for the next start.
        foreach (var (seed, _) in retired)
            catalog.RemoveSeed(seed.Id);
        foreach (var (seed, isUsed) in retired)
        {
            // One that is being cloned at this moment is removed at the next start.
            if (!isUsed && !isBirth(SeedMaker.VolumeOf(seed.Id)))
                await storage.DeleteAsync(SeedMaker.VolumeOf(seed.Id), cancellationToken);
        }
    }

    async Task RemoveSurplusAsync(CancellationToken cancellationToken)
    {
        List<SeedStatus> surplus;
        lock (_lock)
        {
            surplus = [.. _seeds.Skip(options.SeedsKept).Where(old => _uses.GetValueOrDefault(old.Id) == 0 && !isBirth(SeedMaker.VolumeOf(old.Id)))];
            _seeds = [.. _seeds.Except(surplus)];
            foreach (var old in surplus)
                _uses.Remove(old.Id);
        }

        foreach (var old in surplus)
        {
            catalog.RemoveSeed(old.Id);
            await storage.DeleteAsync(SeedMaker.VolumeOf(old.Id), cancellationToken);
        }
    }

    // Called under the lock.
    SeedUse Hold(SeedStatus seed)
    {
        _uses[seed.Id] = _uses.GetValueOrDefault(seed.Id) + 1;
        return new SeedUse(seed, SeedMaker.VolumeOf(seed.Id), () =>
        {
            lock (_lock)
                _uses[seed.Id]--;
        });
    }
}

/// <summary>Holds a seed against removal while it is cloned.</summary>
internal sealed class SeedUse(SeedStatus seed, string volume, Action release) : IDisposable
{
    public SeedStatus Seed { get; } = seed;

    public string Volume { get; } = volume;

    public void Dispose() => release();
}
