using System.Collections.Concurrent;

namespace Tributary.Branching;

/// <summary>
/// How many bytes main and branches take, cheap enough to show live: reading the file system's books costs milliseconds a volume, and seconds for a
/// thousand. What sleeps does not change, so it is measured for each time it ran, at once and when all that it wrote has its place; what runs is
/// measured anew when its figure is older than <see cref="Freshness"/>. Safe from any thread.
/// </summary>
internal sealed class PoolMeter(IStorageDriver storage, TimeProvider time)
{
    static readonly TimeSpan Freshness = TimeSpan.FromSeconds(2);

    /// <summary>The kernel places what was written within its intervals of writing back and of committing, 30 s each; until then a figure may lack some of it.</summary>
    static readonly TimeSpan Settled = TimeSpan.FromSeconds(60);

    static readonly TimeSpan RestInterval = TimeSpan.FromSeconds(2);

    /// <summary>Ten milliseconds each at most: a tenth of a processor while very many come to rest, and a thousand are done within two minutes.</summary>
    const int AtOnceMax = 20;

    /// <summary>A list of the fifty branches that run at once, and of some more, waits for their figures: a third of a second. Of more it waits for none.</summary>
    const int AwaitedMax = 60;

    readonly ConcurrentDictionary<string, Figure> _figures = new(StringComparer.Ordinal);

    /// <summary>What somebody has asked for and not waited for.</summary>
    readonly ConcurrentDictionary<string, bool> _wanted = new(StringComparer.Ordinal);

    /// <summary>The bytes of main and of these branches, by volume; one that is gone by now is missing.</summary>
    /// <param name="whole">Without it, when very many are due, they are missing or have an earlier figure, and later calls have more of them.</param>
    /// <exception cref="StorageException">The file system's books cannot be read.</exception>
    public async Task<IReadOnlyDictionary<string, BranchUsage>> MeasureAsync(IReadOnlyList<Branch> branches, bool whole, CancellationToken cancellationToken)
    {
        var (now, started) = (time.GetUtcNow(), time.GetTimestamp());
        var volumes = new Dictionary<string, Rest?>(StringComparer.Ordinal) { [MainKeeper.Volume] = null };
        foreach (var branch in branches)
            volumes[Branch.VolumeOf(branch.Number)] = RestOf(branch, now);
        var due = volumes.Where(volume => !Serves(volume.Key, volume.Value, started)).ToList();
        if (whole || due.Count <= AwaitedMax)
        {
            foreach (var some in due.Chunk(AtOnceMax))
                await MeasureAsync(some.ToDictionary(StringComparer.Ordinal), started, cancellationToken);
        }
        else
        {
            foreach (var left in due)
                _wanted[left.Key] = true;
        }

        foreach (var gone in _figures.Keys.Where(volume => !volumes.ContainsKey(volume)))
            _figures.TryRemove(gone, out _);
        foreach (var gone in _wanted.Keys.Where(volume => !volumes.ContainsKey(volume)))
            _wanted.TryRemove(gone, out _);
        return volumes.Keys.Select(volume => (Volume: volume, Known: _figures.TryGetValue(volume, out var figure), figure.Usage))
            .Where(static item => item.Known).ToDictionary(static item => item.Volume, static item => item.Usage, StringComparer.Ordinal);
    }

    /// <summary>Measures what has come to rest or was asked for, a few at a time, until cancelled, so that whoever asks for very many does not wait.</summary>
    /// <param name="branches">Those that there are.</param>
    public async Task RunAsync(Func<IReadOnlyList<Branch>> branches, CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(RestInterval, time);
        while (await timer.WaitForNextTickAsync(cancellationToken))
        {
            try
            {
                var (now, started) = (time.GetUtcNow(), time.GetTimestamp());
                var due = branches().Select(branch => KeyValuePair.Create(Branch.VolumeOf(branch.Number), RestOf(branch, now))).Prepend(new(MainKeeper.Volume, null))
                    .Where(volume => _wanted.ContainsKey(volume.Key) || (volume.Value is not null && !IsFinal(volume.Key, volume.Value, started)))
                    .OrderBy(volume => MeasuredAt(volume.Key))
                    .Take(AtOnceMax).ToDictionary(StringComparer.Ordinal);
                if (due.Count > 0)
                    await MeasureAsync(due, started, cancellationToken);
            }
            catch (StorageException)
            {
                // Whoever asks is told.
            }
        }
    }

    async Task MeasureAsync(Dictionary<string, Rest?> volumes, long started, CancellationToken cancellationToken)
    {
        // The state is that of before the measurement: what has woken meanwhile does not sleep at that running time again.
        foreach (var (volume, usage) in await storage.MeasureAsync([.. volumes.Keys], cancellationToken))
            _figures[volume] = new Figure(usage, volumes[volume], started);
        foreach (var volume in volumes.Keys)
            _wanted.TryRemove(volume, out _);
    }

    static Rest? RestOf(Branch branch, DateTimeOffset now) =>
        branch.Compute == ComputeState.Asleep ? new Rest(branch.Usage.RunTime, branch.LastUsedAt is not { } used || now - used >= Settled) : null;

    // For whoever asks now. What was at rest and has run since is another thing, however young its figure. What has come to rest lately is measured
    // again in the background: a thousand of them would keep every list waiting.
    bool Serves(string volume, Rest? rest, long now) => _figures.TryGetValue(volume, out var figure)
        && (figure.Rest is { } before ? before.RunTime == rest?.RunTime : IsFresh(figure, now));

    // For good, or for the moment.
    bool IsFinal(string volume, Rest? rest, long now) => _figures.TryGetValue(volume, out var figure)
        && figure.Rest == rest && (rest is { IsSettled: true } || IsFresh(figure, now));

    // What has no figure yet comes first.
    long MeasuredAt(string volume) => _figures.TryGetValue(volume, out var figure) ? figure.MeasuredAt : long.MinValue;

    bool IsFresh(Figure figure, long now) => time.GetElapsedTime(figure.MeasuredAt, now) < Freshness;

    /// <param name="RunTime">How long the branch had run when it came to rest.</param>
    /// <param name="IsSettled">Whether all that it has written has its place by now.</param>
    readonly record struct Rest(TimeSpan RunTime, bool IsSettled);

    /// <param name="Rest">Null when the volume may have changed meanwhile.</param>
    readonly record struct Figure(BranchUsage Usage, Rest? Rest, long MeasuredAt);
}
