using Microsoft.Extensions.Logging;

namespace Tributary.Branching.Archiving;

/// <summary>
/// Keeps what branches of the past are made of.
/// <list type="number">
/// <item>Receive production's log from main, without a pause.</item>
/// <item>Now and then freeze a clone of main as a base image.</item>
/// <item>Remove the images and the log that no moment within the retention needs.</item>
/// </list>
/// </summary>
/// <param name="position">Where main is.</param>
/// <param name="cloneMain">Clones main to the named volume.</param>
internal sealed class ArchiveKeeper(
    BranchingOptions options, IStorageDriver storage, LogArchive log, BaseShelf bases, Func<CancellationToken, Task<MainPosition>> position,
    Func<string, CancellationToken, Task> cloneMain, TimeProvider time, ILogger logger)
{
    static readonly TimeSpan CheckInterval = TimeSpan.FromSeconds(1);

    /// <summary>A recovery to a point replays at most the log of this time; an image costs what changes in main until the next one.</summary>
    static readonly TimeSpan BaseIntervalMax = TimeSpan.FromMinutes(10);

    /// <summary>Into how many images the retention is divided.</summary>
    const int BasesInRetention = 12;

    DateTimeOffset _nextBase;

    /// <summary>Whether there is an archive: it needs production's log, and images that share nothing would fill the pool.</summary>
    public bool IsOn => options is { Following: FollowingMode.Physical, WalRetention.Ticks: > 0 } && storage.ClonesShareBytes;

    /// <summary>The oldest image, where the window begins; null for none yet.</summary>
    public BaseImage? Oldest => bases.Bases is [var oldest, ..] ? oldest : null;

    bool IsFull => log.Bytes > options.ArchiveBytesMax;

    /// <summary>Holds the newest image that a point can be recovered from; null when the point is before the window.</summary>
    public BaseImage? Use(BranchPoint point) => bases.Use(point);

    public void Release(BaseImage image) => bases.Release(image);

    /// <summary>Puts the log after an image into a data directory, as far as it has been received.</summary>
    /// <param name="whole">The finished segments that are there already.</param>
    public Task CopyLogAsync(BaseImage image, string walDirectory, ISet<string> whole, CancellationToken cancellationToken) =>
        log.CopyAsync(image.LogFrom, walDirectory, whole, cancellationToken);

    public Task ReconcileAsync(CancellationToken cancellationToken) => bases.ReconcileAsync(cancellationToken);

    /// <summary>Empties the archive: the log that comes does not follow the one that is there.</summary>
    public async Task ClearAsync(CancellationToken cancellationToken)
    {
        await bases.RemoveAsync(_ => true, cancellationToken);
        await log.ClearAsync(cancellationToken);
        _nextBase = default;
    }

    /// <summary>Keeps the archive until cancelled. Main runs.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        if (!IsOn)
        {
            await bases.RemoveAsync(_ => true, cancellationToken);
            return;
        }

        // Step 1: receive the log.
        var receiving = log.RunAsync(token => bases.RemoveAsync(_ => true, token), cancellationToken);
        while (!receiving.IsCompleted)
        {
            try
            {
                await CheckAsync(cancellationToken);
            }
            catch (Exception exception) when (Obstacle.Is(exception))
            {
                Log.BaseFailed(logger, exception);
            }

            await Task.Delay(CheckInterval, time, cancellationToken);
        }

        await receiving;
    }

    async Task CheckAsync(CancellationToken cancellationToken)
    {
        // A pool that has no room for an image keeps nothing that is not needed, so this comes before too.
        await TrimAsync(cancellationToken);

        // Step 2: a base image. Too much log goes only when there is an image that does without it; a second one would make no difference while
        // the oldest is in use.
        if (time.GetUtcNow() < _nextBase && bases.Bases.Count > 0 && !(IsFull && bases.Bases.Count == 1))
            return;
        if (!await TryMakeBaseAsync(cancellationToken))
            return;
        _nextBase = time.GetUtcNow() + TimeSpan.FromTicks(Math.Min(BaseIntervalMax.Ticks, options.WalRetention.Ticks / BasesInRetention));

        // Step 3: what is no longer needed.
        await TrimAsync(cancellationToken);
    }

    // The newest image beyond the retention is still where its first moment is recovered from.
    async Task TrimAsync(CancellationToken cancellationToken)
    {
        var all = bases.Bases;
        var limit = time.GetUtcNow() - options.WalRetention;
        var first = all.LastOrDefault(image => image.DataTime <= limit) ?? (all.Count > 0 ? all[0] : null);
        if (IsFull && all.Count > 1)
            first = all[1];
        if (first is null)
            return;
        await bases.RemoveAsync(image => image.Lsn < first.Lsn, cancellationToken);
        log.RemoveBefore(bases.Bases[0].LogFrom);
    }

    async Task<bool> TryMakeBaseAsync(CancellationToken cancellationToken)
    {
        var before = await position(cancellationToken);
        if (!log.Reaches(before.Lsn))
            return false;
        var id = $"{time.GetUtcNow().UtcDateTime:yyyyMMdd-HHmmss-fff}";
        var volume = $"{BaseImage.Folder}/{id}";
        await cloneMain(volume, cancellationToken);
        try
        {
            await storage.FreezeAsync(volume, cancellationToken);
            var after = await position(cancellationToken);
            bases.Add(new BaseImage(id, before.Lsn, after.Lsn, after.DataTime));
            return true;
        }
        catch
        {
            await storage.DeleteAsync(volume, CancellationToken.None);
            throw;
        }
    }
}
