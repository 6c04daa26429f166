namespace Tributary.Branching;

/// <summary>Loops that run together.</summary>
internal static class OwnedLoops
{
    /// <summary>
    /// Runs them until all have ended. One that fails ends the others, or nobody would hear of it before they are cancelled; one that has nothing to
    /// do ends at once, and the others go on.
    /// </summary>
    public static async Task RunAsync(IReadOnlyList<Func<CancellationToken, Task>> loops, CancellationToken cancellationToken)
    {
        using var all = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var running = loops.Select(loop => loop(all.Token)).ToList();
        while (running.Count > 0)
        {
            var ended = await Task.WhenAny(running);
            running.Remove(ended);
            if (ended.IsCompletedSuccessfully)
                continue;
            await all.CancelAsync();
            await Task.WhenAll(running).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await ended;
        }
    }
}
