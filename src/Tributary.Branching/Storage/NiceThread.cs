using System.Runtime.InteropServices;

namespace Tributary.Branching.Storage;

/// <summary>
/// Runs what nobody waits for on a thread of its own that takes a processor only when little else wants it: the branches' sessions and the making of
/// the next spare are on the same ones.
/// Source: https://man7.org/linux/man-pages/man2/setpriority.2.html (on Linux the number 0 is the calling thread)
/// </summary>
internal static partial class NiceThread
{
    /// <summary>The most that a thread can stand back (nice(1)).</summary>
    const int Nicest = 19;

    public static Task<T> RunAsync<T>(Func<T> work, CancellationToken cancellationToken) => Task.Factory.StartNew(
        () =>
        {
            // A refusal leaves the thread as eager as any, which only costs.
            _ = SetPriority(0, 0, Nicest);
            return work();
        }, cancellationToken, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    [LibraryImport("libc", EntryPoint = "setpriority")]
    private static partial int SetPriority(int which, int who, int priority);
}
