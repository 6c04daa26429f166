namespace Tributary.Branching.Compute;

/// <summary>
/// Finds a server that will never accept connections again. When a process has crashed and the one that recovers from that ends as well, since the
/// disk is full, say, the postmaster of PostgreSQL 18 neither begins anew nor ends, as the older ones do: it refuses everybody with "the database
/// system is in recovery mode" for good, also when the cause is gone.
/// </summary>
internal static class LostRecovery
{
    /// <summary>A look reads one small file for each process of the server.</summary>
    static readonly TimeSpan LookInterval = TimeSpan.FromSeconds(5);

    /// <summary>A server that ends its processes after a crash lacks these two for 5 s at most (SIGKILL_CHILDREN_AFTER_SECS in postmaster.c).</summary>
    const int LooksInARow = 3;

    /// <summary>Waits for the end of a server, or for the moment from which it needs to be ended.</summary>
    /// <param name="exited">Completes when the server has ended.</param>
    /// <param name="server">Its postmaster; null while that is not to be judged, since it starts or is being stopped.</param>
    /// <returns>Whether it has lost its recovery.</returns>
    public static async Task<bool> WaitAsync(Task exited, Func<int?> server, TimeProvider time)
    {
        using var end = new CancellationTokenSource();
        for (var lost = 0; lost < LooksInARow;)
        {
            if (await Task.WhenAny(exited, Task.Delay(LookInterval, time, end.Token)) == exited)
            {
                await end.CancelAsync();
                return false;
            }

            lost = server() is { } postmaster && !RunsOrRecovers(ProcessTree.Children(postmaster)) ? lost + 1 : 0;
        }

        return true;
    }

    // A server that recovers, or follows another one, has a startup process; one that takes writes has a WAL writer.
    static bool RunsOrRecovers(IReadOnlyList<int> children) =>
        children.Any(child => ProcessTree.Title(child) is { } title && (title.Contains("startup ", StringComparison.Ordinal) || title.Contains("walwriter", StringComparison.Ordinal)));
}
