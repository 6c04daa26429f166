using System.Runtime.InteropServices;
using Tributary.Postgres.Programs;

namespace Tributary.Branching.Compute;

/// <summary>
/// Holds all processes of a server still, so that its files are those of one moment: what a crash of the server at that moment would leave.
/// Postgres writes its files by system calls through the kernel's page cache, which a copy reads too, and a stopped process is in the middle of none:
/// the kernel ends a write to a file before it stops the one who writes (signal(7), uninterruptible sleep).
/// <para>
/// A process stands still before its children are stopped, and all are listed again until nobody new is found: whoever stands still starts nobody.
/// The order matters too: a parent that has started a program waits for its child in the kernel (vfork(2)), and does not stop before that has gone on.
/// </para>
/// </summary>
internal static partial class ProcessFreezer
{
    // Numbers of Linux on x86-64 and arm64 (signal(7)).
    const int SignalContinue = 18;
    const int SignalStop = 19;

    /// <summary>A process that waits for its disk stops when the disk has answered; the pause between two looks at it.</summary>
    static readonly TimeSpan LookPause = TimeSpan.FromMilliseconds(1);

    /// <summary>How long that may take: longer than a disk that works needs for one flush.</summary>
    static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(30);

    /// <summary>Runs an action while a process and all that descend from it stand still, and lets them go on however it ends.</summary>
    /// <param name="processId">The first of them; its parent must not wait for it to stop.</param>
    /// <exception cref="ChildProcessException">Not all of them came to a stop in time; the action was not run.</exception>
    public static async Task RunAsync(int processId, Func<CancellationToken, Task> action, TimeProvider time, CancellationToken cancellationToken)
    {
        var stopped = new List<int>();
        try
        {
            await StopAsync(processId, stopped, time, cancellationToken);
            await action(cancellationToken);
        }
        finally
        {
            // Children first: the server then finds all of its own awake.
            for (var i = stopped.Count - 1; i >= 0; i--)
                _ = Kill(stopped[i], SignalContinue);
        }
    }

    static async Task StopAsync(int processId, List<int> stopped, TimeProvider time, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        while (true)
        {
            var count = stopped.Count;
            var areStill = true;
            Visit(processId);
            if (areStill && stopped.Count == count)
                return;
            if (time.GetElapsedTime(started) > StopTimeout)
                throw new ChildProcessException($"The processes below {processId} did not all stop within {StopTimeout.TotalSeconds:0} s, so their files are not copied: the disk may be too slow.");
            await Task.Delay(LookPause, time, cancellationToken);

            void Visit(int process)
            {
                if (!stopped.Contains(process) && Kill(process, SignalStop) == 0)
                    stopped.Add(process);
                if (!ProcessTree.IsStill(process))
                {
                    areStill = false;
                    return;
                }

                foreach (var child in ProcessTree.Children(process))
                    Visit(child);
            }
        }
    }

    // Not the program: dozens of processes stand still for as long as this takes.
    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int Kill(int processId, int signal);
}
