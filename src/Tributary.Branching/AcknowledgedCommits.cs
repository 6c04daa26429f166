using Tributary.Postgres;

namespace Tributary.Branching;

/// <summary>How what production had acknowledged at a moment is waited for.</summary>
internal static class AcknowledgedCommits
{
    /// <summary>An asynchronous commit is flushed within three times wal_writer_delay, which is 200 ms unless production sets it.</summary>
    static readonly TimeSpan AsynchronousFlushMax = TimeSpan.FromMilliseconds(700);

    /// <summary>
    /// Waits until a server holds every commit before a moment. What was inserted and belongs to no commit may wait for its flush until the next
    /// one; all commits are flushed sooner.
    /// </summary>
    /// <param name="waitForAsync">Waits until the server has replayed a position; false when the limit is over.</param>
    /// <returns>False when it takes too long.</returns>
    /// <exception cref="BranchingException">The source does not answer.</exception>
    public static async Task<bool> ReachAsync(
        this IMain main, MomentOfSource moment, Func<Lsn, TimeSpan, CancellationToken, Task<bool>> waitForAsync, TimeSpan limit, CancellationToken cancellationToken)
    {
        if (await waitForAsync(moment.Lsn, AsynchronousFlushMax, cancellationToken))
            return true;
        var flushed = (await main.FlushedAsync(cancellationToken)).Lsn;
        return await waitForAsync(flushed < moment.Lsn ? flushed : moment.Lsn, limit, cancellationToken);
    }
}
