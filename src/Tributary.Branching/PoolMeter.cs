using System.Collections.Concurrent;

namespace Tributary.Branching;

/// <summary>
/// How many bytes main and branches take, cheap enough to show live: reading the file system's books costs milliseconds a volume, and seconds for a
/// thousand. What sleeps does not change, so it is measured once for each time it ran; what runs is measured anew when its figure is older than
/// <see cref="Freshness"/>. Safe from any thread.
/// </summary>
internal sealed class PoolMeter(IStorageDriver storage, TimeProvider time)
{
    static readonly TimeSpan Freshness = TimeSpan.FromSeconds(2);

    /// <summary>The kernel places what was written within its intervals of writing back and of committing, 30 s each; until then a figure lacks it.</summary>
    static readonly TimeSpan Settled = TimeSpan.FromSeconds(60);

    static readonly TimeSpan RestInterval = TimeSpan.FromSeconds(2);

    /// <summary>Ten milliseconds each at most: a tenth of a processor while very many come to rest, and a thousand are done within two minutes.</summary>
    const int AtOnceMax = 20;

    readonly ConcurrentDictionary<string, Figure> _figures = new(StringComparer.Ordinal);

    /// <summary>The bytes of main and of these branches, by volume; one that is gone by now is missing.</summary>
    /// <param name="limit">When it takes longer, what is not measured yet is missing or has an earlier figure: a thousand that have just slept take ten seconds.</param>
    /// <exception cref="StorageException">The file system's books cannot be read.</exception>
    public async Task<IReadOnlyDictionary<string, BranchUsage>> MeasureAsync(IReadOnlyList<Branch> branches, TimeSpan limit, CancellationToken cancellationToken)
    {
        var (now, started) = (time.GetUtcNow(), time.GetTimestamp());
        var volumes = branches.ToDictionary(branch => Branch.VolumeOf(branch.Number), branch => RestOf(branch, now), StringComparer.Ordinal);
        volumes[MainKeeper.Volume] = null;
        var due = volumes.Where(volume => !Holds(volume.Key, volume.Value, started)).OrderBy(volume => _figures.ContainsKey(volume.Key)).ToList();
        foreach (var some in due.Chunk(AtOnceMax))
        {
            if (limit != Timeout.InfiniteTimeSpan && time.GetElapsedTime(started) > limit)
                break;
            await MeasureAsync(some.ToDictionary(StringComparer.Ordinal), started, cancellationToken);
        }

        foreach (var gone in _figures.Keys.Where(volume => !volumes.ContainsKey(volume)))
            _figures.TryRemove(gone, out _);
        return volumes.Keys.Select(volume => (Volume: volume, Known: _figures.TryGetValue(volume, out var figure), figure.Usage))
            .Where(static item => item.Known).ToDictionary(static item => item.Volume, static item => item.Usage, StringComparer.Ordinal);
    }

    /// <summary>Measures what has come to rest, a few at a time, until cancelled, so that whoever asks for very many of them does not wait.</summary>
    /// <param name="branches">Those that there are.</param>
    public async Task RunAsync(Func<IReadOnlyList<Branch>> branches, CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(RestInterval, time);
        while (await timer.WaitForNextTickAsync(cancellationToken))
        {
            try
            {
                var (now, started) = (time.GetUtcNow(), time.GetTimestamp());
                var due = branches().Select(branch => KeyValuePair.Create(Branch.VolumeOf(branch.Number), RestOf(branch, now)))
                    .Where(volume => volume.Value is not null && !Holds(volume.Key, volume.Value, started)).Take(AtOnceMax).ToDictionary(StringComparer.Ordinal);
                if (due.Count > 0)
                    await MeasureAsync(due, started, cancellationToken);
            }
            catch (StorageException)
            {
                // Whoever asks is told.
            }
        }
    }

    async Task MeasureAsync(Dictionary<string, TimeSpan?> volumes, long started, CancellationToken cancellationToken)
    {
        // The state is that of before the measurement: what has woken meanwhile does not sleep at that running time again.
        foreach (var (volume, usage) in await storage.MeasureAsync([.. volumes.Keys], cancellationToken))
            _figures[volume] = new Figure(usage, volumes[volume], started);
    }

    // How long the branch had run when it came to rest; null while it may change.
    static TimeSpan? RestOf(Branch branch, DateTimeOffset now) =>
        branch.Compute == ComputeState.Asleep && (branch.LastUsedAt is not { } used || now - used >= Settled) ? branch.Usage.RunTime : null;

    // What was at rest and has run since is another thing, however young its figure.
    bool Holds(string volume, TimeSpan? rest, long now) => _figures.TryGetValue(volume, out var figure)
        && (figure.Rest is null ? time.GetElapsedTime(figure.MeasuredAt, now) < Freshness : figure.Rest == rest);

    readonly record struct Figure(BranchUsage Usage, TimeSpan? Rest, long MeasuredAt);
}
