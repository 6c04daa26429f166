using Microsoft.Extensions.Logging;

namespace Tributary.Branching.Archiving;

/// <summary>The base images that there are, oldest first. One in use is not removed.</summary>
/// <param name="known">Those of an earlier run.</param>
/// <param name="onAdded">Makes one durable.</param>
/// <param name="onRemoved">Forgets one.</param>
internal sealed class BaseShelf(IStorageDriver storage, IReadOnlyList<BaseImage> known, Action<BaseImage> onAdded, Action<string> onRemoved, ILogger logger)
{
    readonly Lock _lock = new();
    readonly Dictionary<string, int> _uses = [];
    List<BaseImage> _bases = [.. known.OrderBy(image => image.Lsn)];

    public IReadOnlyList<BaseImage> Bases
    {
        get
        {
            lock (_lock)
                return [.. _bases];
        }
    }

    public void Add(BaseImage image)
    {
        onAdded(image);
        lock (_lock)
            _bases = [.. _bases.Append(image).OrderBy(other => other.Lsn)];
    }

    /// <summary>Holds the newest image that is not beyond a point; null when all are.</summary>
    public BaseImage? Use(BranchPoint point)
    {
        lock (_lock)
        {
            var image = _bases.LastOrDefault(image => point.Lsn is { } lsn ? image.Lsn <= lsn : image.DataTime <= point.Time);
            if (image is not null)
                _uses[image.Id] = _uses.GetValueOrDefault(image.Id) + 1;
            return image;
        }
    }

    public void Release(BaseImage image)
    {
        lock (_lock)
            _uses[image.Id]--;
    }

    /// <summary>Removes those that are not needed, but none in use.</summary>
    public async Task RemoveAsync(Func<BaseImage, bool> isSurplus, CancellationToken cancellationToken)
    {
        List<BaseImage> surplus;
        lock (_lock)
        {
            surplus = [.. _bases.Where(image => _uses.GetValueOrDefault(image.Id) == 0 && isSurplus(image))];
            _bases = [.. _bases.Except(surplus)];
        }

        // All rows before any volume: what is left in a pool that refuses is removed by the next start.
        foreach (var image in surplus)
            onRemoved(image.Id);
        foreach (var image in surplus)
            await storage.DeleteAsync(image.Volume, cancellationToken);
    }

    /// <summary>Removes what a crash left half made.</summary>
    public Task ReconcileAsync(CancellationToken cancellationToken)
    {
        var volumes = Bases.Select(image => image.Volume).ToHashSet(StringComparer.Ordinal);
        return storage.RemoveUnknownAsync(BaseImage.Folder, volumes.Contains, logger, cancellationToken);
    }
}
