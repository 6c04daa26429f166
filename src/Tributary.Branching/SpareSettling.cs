using Microsoft.Extensions.Logging;
using Tributary.Branching.Seeding;

namespace Tributary.Branching;

/// <summary>
/// What is left to do for a spare that a branch has got, beside the branch's first sessions.
/// <list type="number">
/// <item>Let the first session pass.</item>
/// <item>Take production's log away and write everything to the disk: the branch outlives the machine's end.</item>
/// <item>Share with the branch before it, or else with the newest seed, what both hold alike. A spare has replayed production's log since its last
/// checkpoint, as the ones before it have, so most of the pages that are its own were written by each of them.</item>
/// </list>
/// </summary>
internal sealed class SpareSettling(IStorageDriver storage, SeedShelf shelf, TimeProvider time, ILogger logger) : IDisposable
{
    /// <summary>A branch's first session is there within this; a checkpoint and a flush at that moment would be felt.</summary>
    static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(500);

    /// <summary>Branches that are remembered to share with: one is enough, and the newest may be deleted any moment.</summary>
    const int RecentMax = 8;

    readonly SemaphoreSlim _one = new(1, 1);
    readonly List<string> _recent = [];

    /// <param name="path">The spare's data.</param>
    /// <param name="settled">Called when the branch outlives the machine's end.</param>
    /// <param name="ending">Ends the sharing, which is no branch's need.</param>
    public async Task RunAsync(Spare spare, string path, Action settled, CancellationToken ending)
    {
        // Step 1: let the first session pass.
        await Task.Delay(Pause, time, CancellationToken.None);

        // Step 2: make it last.
        if (!await spare.FinishAsync(path, CancellationToken.None))
            return;
        // Step 3: share.
        try
        {
            settled();
            await ShareAsync(spare, ending);
        }
        catch (Exception exception) when (Obstacle.Is(exception) || exception is OperationCanceledException)
        {
            // One of them has been deleted meanwhile, or the server stops.
            Log.NotShared(logger, spare.Number, exception.Message);
        }
    }

    public void Dispose() => _one.Dispose();

    // One at a time: each reads what it shares, and the branches' sessions are on the same processors.
    async Task ShareAsync(Spare spare, CancellationToken cancellationToken)
    {
        if (!storage.ClonesShareBytes)
            return;
        await _one.WaitAsync(cancellationToken);
        try
        {
            var started = time.GetTimestamp();
            _recent.RemoveAll(volume => !Directory.Exists(storage.PathOf(volume)));
            using var seed = _recent.Count > 0 ? null : shelf.UseNewest();
            if ((_recent.LastOrDefault() ?? seed?.Volume) is { } other)
            {
                var bytes = await storage.ShareAlikeAsync(spare.Volume, other, cancellationToken);
                Log.Shared(logger, spare.Number, bytes, other, time.GetElapsedTime(started).TotalMilliseconds);
            }

            _recent.Add(spare.Volume);
            if (_recent.Count > RecentMax)
                _recent.RemoveAt(0);
        }
        finally
        {
            _one.Release();
        }
    }
}
