using Tributary.Postgres.Programs;

namespace Tributary.Branching.Compute;

/// <summary>
/// A process and its descendants, held still by SIGSTOP. A server's processes are no group to the kernel, since each leads a session of its own, so
/// the tree is walked: a stopped process starts no other, so that a few rounds find all.
/// <para>
/// A process stops on its way out of the kernel. One that the kernel calls stopped is in the middle of no write, and what it has written is in the
/// page cache, where whoever reads the file finds it.
/// </para>
/// </summary>
internal sealed class PausedProcesses : IAsyncDisposable
{
    /// <summary>A process that waits for a disk stops when it has its answer; this is longer than a disk that still works takes.</summary>
    static readonly TimeSpan Timeout = TimeSpan.FromSeconds(20);

    static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(1);

    readonly int? _root;

    PausedProcesses(int? root) => _root = root;

    /// <param name="root">Null, and there is nothing to hold.</param>
    /// <exception cref="ChildProcessException">A process did not stop in time; all of them go on.</exception>
    public static async Task<PausedProcesses> PauseAsync(int? root, TimeProvider time, CancellationToken cancellationToken)
    {
        var paused = new PausedProcesses(root);
        var started = time.GetTimestamp();
        var signalled = new HashSet<int>();
        try
        {
            while (paused.Tree().Where(ProcessTree.IsGoing).ToList() is { Count: > 0 } going)
            {
                if (time.GetElapsedTime(started) > Timeout)
                    throw new ChildProcessException($"The processes {string.Join(", ", going)} did not stand still within {Timeout.TotalSeconds:0} s; they wait for the disk.");
                var unsignalled = going.Where(signalled.Add).ToList();
                if (unsignalled.Count > 0)
                    await SignalAsync("STOP", unsignalled, cancellationToken);
                else
                    await Task.Delay(PollInterval, time, cancellationToken);
            }

            return paused;
        }
        catch
        {
            await paused.DisposeAsync();
            throw;
        }
    }

    /// <summary>Lets them go on.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Tree() is { Count: > 0 } processes)
            await SignalAsync("CONT", processes, CancellationToken.None);
    }

    IReadOnlyList<int> Tree() => _root is { } root ? [.. ProcessTree.Of(root)] : [];

    // A process that has ended meanwhile makes kill fail, after it has signalled the others.
    static async Task SignalAsync(string signal, IReadOnlyList<int> processes, CancellationToken cancellationToken) =>
        await ChildProcesses.RunAsync(new ChildProcessSpec("/bin/kill", ["-s", signal, .. processes.Select(process => $"{process}")]), cancellationToken);
}
