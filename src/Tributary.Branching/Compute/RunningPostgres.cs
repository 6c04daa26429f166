using System.Diagnostics;
using Tributary.Postgres.Programs;

namespace Tributary.Branching.Compute;

/// <summary>A server that <see cref="PostgresLauncher"/> has started. It goes with its control group.</summary>
/// <param name="group">Removed when the server has ended; null when it has none.</param>
internal sealed class RunningPostgres(Process process, bool sandboxed, ComputeFolder folder, ControlGroup? group, TimeProvider time) : IRunningPostgres
{
    /// <summary>A fast shutdown writes one checkpoint of at most the shared buffers; a minute means that it hangs.</summary>
    static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(60);

    readonly int _processId = process.Id;
    long _cpuTicks;

    public string SocketDirectory => folder.SocketDirectory;

    public Task Exited { get; } = process.WaitForExitAsync();

    public TimeSpan CpuTime
    {
        get
        {
            // A tree of processes loses what an ended child's children used, so the greatest value so far is the best one.
            var used = group?.CpuTime() ?? (Exited.IsCompleted ? TimeSpan.Zero : ProcessTree.CpuTime(_processId));
            return TimeSpan.FromTicks(_cpuTicks = Math.Max(_cpuTicks, used.Ticks));
        }
    }

    /// <summary>
    /// Bounds its processes where no control group does. The kernel counts the processes of a user in each user namespace by itself
    /// (user_namespaces(7), since Linux 5.14), so that two servers do not share the number. The server's own user may lower the limit of its
    /// processes, root only with CAP_SYS_RESOURCE, which a container may lack. False when the kernel refuses.
    /// </summary>
    public async Task<bool> TryBoundProcessesAsync(int most, CancellationToken cancellationToken)
    {
        if (ServerProcessId() is not { } server)
            return false;
        var set = await ChildProcesses.RunAsync(new ChildProcessSpec("prlimit", ["--pid", $"{server}", $"--nproc={most}:{most}"]) { AsPostgresUser = true }, cancellationToken);
        return set.Succeeded;
    }

    public Task ConfigureAsync(IReadOnlyList<string> settings, CancellationToken cancellationToken) => folder.WriteSettingsAsync(settings, cancellationToken);

    public Task RunFrozenAsync(Func<CancellationToken, Task> action, CancellationToken cancellationToken) =>
        ServerProcessId() is { } server ? ProcessFreezer.RunAsync(server, action, time, cancellationToken) : action(cancellationToken);

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        if (ServerProcessId() is { } server)
            await SignalAsync("INT", server, cancellationToken);
        try
        {
            await Exited.WaitAsync(StopTimeout, time, cancellationToken);
        }
        catch (TimeoutException)
        {
            await DisposeAsync();
        }
    }

    public async ValueTask DisposeAsync()
    {
        // Killing process 1 of a namespace ends all of it before bubblewrap sees its child gone, so nothing uses the pool afterwards;
        // main has no namespace and gets an immediate shutdown.
        if (!Exited.IsCompleted)
            await SignalAsync(sandboxed ? "KILL" : "QUIT", ServerProcessId() ?? _processId, CancellationToken.None);
        await Exited;
        _ = CpuTime;
        process.Dispose();
        if (group is not null)
            await group.RemoveAsync(time);
    }

    // Inside the sandbox the server is the only child of bubblewrap's outer process, and process 1 of its namespace.
    int? ServerProcessId()
    {
        if (Exited.IsCompleted)
            return null;
        if (!sandboxed)
            return _processId;
        return ProcessTree.Children(_processId) is [var child, ..] ? child : null;
    }

    static async Task SignalAsync(string signal, int processId, CancellationToken cancellationToken) =>
        await ChildProcesses.RunAsync(new ChildProcessSpec("/bin/kill", ["-s", signal, $"{processId}"]), cancellationToken);
}
