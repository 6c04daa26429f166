using System.Diagnostics;
using Microsoft.Extensions.Logging;
using Tributary.Postgres.Programs;

namespace Tributary.Branching.Compute;

/// <summary>
/// A server that <see cref="PostgresLauncher"/> has started. It goes with its control group, and is ended when it would never accept connections
/// again, so that whoever keeps it starts it anew.
/// </summary>
internal sealed class RunningPostgres : IRunningPostgres
{
    /// <summary>A fast shutdown writes one checkpoint of at most the shared buffers; a minute means that it hangs.</summary>
    static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(60);

    /// <summary>
    /// A server that was started a moment ago may miss a signal: where Tributary itself was started by a script in the background, the shell has
    /// let the server inherit that it ignores QUIT until it has its own handlers. 1 s is well beyond the end of one that has heard it.
    /// </summary>
    static readonly TimeSpan SignalInterval = TimeSpan.FromSeconds(1);

    readonly Process _process;
    readonly int _processId;
    readonly bool _sandboxed;
    readonly ComputeFolder _folder;
    readonly ControlGroup? _group;
    readonly TimeProvider _time;
    readonly ILogger _logger;
    volatile bool _ending;
    long _cpuTicks;

    /// <param name="group">Removed when the server has ended; null when it has none.</param>
    public RunningPostgres(Process process, bool sandboxed, ComputeFolder folder, ControlGroup? group, TimeProvider time, ILogger logger)
    {
        (_process, _processId, _sandboxed, _folder, _group, _time, _logger) = (process, process.Id, sandboxed, folder, group, time, logger);
        Exited = RunAsync(process.WaitForExitAsync());
    }

    public string SocketDirectory => _folder.SocketDirectory;

    public Task Exited { get; }

    public TimeSpan CpuTime
    {
        get
        {
            // A tree of processes loses what an ended child's children used, so the greatest value so far is the best one.
            var used = _group?.CpuTime() ?? (Exited.IsCompleted ? TimeSpan.Zero : ProcessTree.CpuTime(_processId));
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

    // The folder is the next server's too, which has settings of its own by the time that this one has ended.
    public Task ConfigureAsync(IReadOnlyList<string> settings, CancellationToken cancellationToken) =>
        _ending || Exited.IsCompleted ? Task.CompletedTask : _folder.WriteSettingsAsync(settings, cancellationToken);

    public Task RunFrozenAsync(Func<CancellationToken, Task> action, CancellationToken cancellationToken) =>
        ServerProcessId() is { } server ? ProcessFreezer.RunAsync(server, action, _time, cancellationToken) : action(cancellationToken);

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        _ending = true;
        if (ServerProcessId() is { } server)
            await SignalAsync("INT", server, cancellationToken);
        try
        {
            await Exited.WaitAsync(StopTimeout, _time, cancellationToken);
        }
        catch (TimeoutException)
        {
            await DisposeAsync();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await EndAsync(Exited);
        _ = CpuTime;
        _process.Dispose();
        if (_group is not null)
            await _group.RemoveAsync(_time);
    }

    async Task RunAsync(Task exited)
    {
        if (await LostRecovery.WaitAsync(exited, () => _ending ? null : ServerProcessId(), _time))
        {
            Log.RecoveryLost(_logger, _folder.Name);
            await EndAsync(exited);
        }

        await exited;
    }

    // Killing process 1 of a namespace ends all of it before bubblewrap sees its child gone, so nothing uses the pool afterwards;
    // main has no namespace and gets an immediate shutdown.
    async Task EndAsync(Task exited)
    {
        _ending = true;
        var asked = _time.GetTimestamp();
        while (!exited.IsCompleted)
        {
            var signal = _sandboxed || _time.GetElapsedTime(asked) > StopTimeout ? "KILL" : "QUIT";
            await SignalAsync(signal, ServerProcessId() ?? _processId, CancellationToken.None);
            await Task.WhenAny(exited, Task.Delay(SignalInterval, _time, CancellationToken.None));
        }
    }

    // Inside the sandbox the server is the only child of bubblewrap's outer process, and process 1 of its namespace.
    int? ServerProcessId()
    {
        if (Exited.IsCompleted)
            return null;
        if (!_sandboxed)
            return _processId;
        return ProcessTree.Children(_processId) is [var child, ..] ? child : null;
    }

    static async Task SignalAsync(string signal, int processId, CancellationToken cancellationToken) =>
        await ChildProcesses.RunAsync(new ChildProcessSpec("/bin/kill", ["-s", signal, $"{processId}"]), cancellationToken);
}
