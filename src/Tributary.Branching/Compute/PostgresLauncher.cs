using Microsoft.Extensions.Logging;
using Tributary.Postgres.Programs;

namespace Tributary.Branching.Compute;

/// <summary>
/// Starts servers: writes the folder outside the pool, starts postgres in the sandbox (or, for main, beside it), waits until it is ready, and
/// takes its socket out of the sandbox.
/// </summary>
/// <param name="runDirectory">Holds one folder a server.</param>
internal sealed class PostgresLauncher(
    PostgresInstallation installation, string runDirectory, ControlGroups groups, TimeProvider time, ILogger logger) : IPostgresLauncher
{
    /// <summary>How often the state of a starting server is read: one small file, and 2 ms are lost in a start of 50.</summary>
    static readonly TimeSpan ReadyPollInterval = TimeSpan.FromMilliseconds(2);

    readonly string _owner = StrayServers.OwnerOf(runDirectory);

    public async Task<IRunningPostgres> LaunchAsync(LaunchSpec spec, CancellationToken cancellationToken)
    {
        var folder = new ComputeFolder(Path.Combine(runDirectory, spec.Name));
        await folder.WriteAsync(spec.Settings, cancellationToken);
        if (spec.Sandboxed)
        {
            // The process number in a stale file belongs to another namespace. No server of ours runs on it: the state folder has a lock, and what
            // an earlier run has left is ended when it is opened.
            File.Delete(PidFile(spec));
        }

        var group = spec.Limits is { } limits ? groups.Create(spec.Name, limits) : null;
        RunningPostgres running;
        try
        {
            running = new RunningPostgres(await ChildProcesses.StartAsync(Child(spec, folder, group), cancellationToken), spec.Sandboxed, folder, group, time, logger);
        }
        catch
        {
            await (group?.RemoveAsync(time) ?? Task.CompletedTask);
            throw;
        }

        try
        {
            await WaitUntilReadyAsync(spec, folder, running, cancellationToken);
            if (spec.Sandboxed)
                folder.TakeSocket();
            if (!groups.BoundsProcesses && spec.Limits?.ProcessesMax is { } most && !await running.TryBoundProcessesAsync(most, cancellationToken))
                Log.ProcessesUnbounded(logger, spec.Name);
            return running;
        }
        catch
        {
            await running.DisposeAsync();
            throw;
        }
    }

    public void RemoveFolder(string name) => new ComputeFolder(Path.Combine(runDirectory, name)).Delete();

    ChildProcessSpec Child(LaunchSpec spec, ComputeFolder folder, ControlGroup? group)
    {
        var child = spec.Sandboxed
            ? new ChildProcessSpec(Sandbox.Program, Sandbox.Arguments(installation, spec, folder, _owner)) { ParentDeathSignal = "KILL" }
            : new ChildProcessSpec(installation.Program("postgres"), ["-D", spec.DataDirectory, .. folder.Arguments(sandboxed: false)])
            {
                ParentDeathSignal = "QUIT",
                Environment = new Dictionary<string, string> { [StrayServers.OwnerVariable] = _owner },
            };
        return child with { AsPostgresUser = true, LogFile = folder.LogFile, ControlGroupFiles = group?.ProcessFiles ?? [] };
    }

    async Task WaitUntilReadyAsync(LaunchSpec spec, ComputeFolder folder, RunningPostgres running, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        while (!IsReady(PidFile(spec)))
        {
            if (running.Exited.IsCompleted)
                throw new ChildProcessException($"The Postgres of {spec.Name} ended while it started: {folder.LastLogLines()}");
            if (time.GetElapsedTime(started) > spec.StartTimeout)
                throw new ChildProcessException($"The Postgres of {spec.Name} was not ready within {spec.StartTimeout.TotalSeconds:0} s: {folder.LastLogLines()}");
            await Task.Delay(ReadyPollInterval, time, cancellationToken);
        }
    }

    static string PidFile(LaunchSpec spec) => Path.Combine(spec.DataDirectory, "postmaster.pid");

    // Line 8 of postmaster.pid is the state that pg_ctl waits for (LOCK_FILE_LINE_PM_STATUS in src/include/utils/pidfile.h);
    // a hot standby says "standby" first and "ready" once it accepts connections.
    static bool IsReady(string pidFile)
    {
        try
        {
            return File.ReadAllLines(pidFile) is [_, _, _, _, _, _, _, var status, ..] && status.Trim() == "ready";
        }
        catch (IOException)
        {
            return false;
        }
    }
}
