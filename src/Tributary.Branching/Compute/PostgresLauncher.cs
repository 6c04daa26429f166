using System.Diagnostics;
using System.Globalization;
using Tributary.Postgres.Programs;

namespace Tributary.Branching.Compute;

/// <summary>
/// Starts servers: writes the folder outside the pool, starts postgres in the sandbox (or, for main, beside it), waits until it is ready.
/// </summary>
/// <param name="runDirectory">Holds one folder a server.</param>
internal sealed class PostgresLauncher(PostgresInstallation installation, string runDirectory, TimeProvider time) : IPostgresLauncher
{
    /// <summary>How often the state of a starting server is read: one small file, and 2 ms are lost in a start of 50.</summary>
    static readonly TimeSpan ReadyPollInterval = TimeSpan.FromMilliseconds(2);

    public async Task<IRunningPostgres> LaunchAsync(LaunchSpec spec, CancellationToken cancellationToken)
    {
        var folder = new ComputeFolder(Path.Combine(runDirectory, spec.Name));
        await folder.WriteAsync(spec.Settings, spec.Sandboxed, cancellationToken);
        if (spec.Sandboxed)
        {
            // The process number in a stale file belongs to another namespace; the state folder's lock says that no server of ours runs on it.
            File.Delete(PidFile(spec));
        }

        var process = await ChildProcesses.StartAsync(Child(spec, folder), cancellationToken);
        var running = new RunningPostgres(process, spec.Sandboxed, folder, time);
        try
        {
            await WaitUntilReadyAsync(spec, folder, running, cancellationToken);
            return running;
        }
        catch
        {
            await running.DisposeAsync();
            throw;
        }
    }

    ChildProcessSpec Child(LaunchSpec spec, ComputeFolder folder)
    {
        var child = spec.Sandboxed
            ? new ChildProcessSpec(Sandbox.Program, Sandbox.Arguments(installation, spec.DataDirectory, folder))
            : new ChildProcessSpec(installation.Program("postgres"), ["-D", spec.DataDirectory, "-c", $"config_file={folder.ConfigurationFile}"])
            {
                ParentDeathSignal = "QUIT",
            };
        return child with { AsPostgresUser = true, LogFile = folder.LogFile };
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

    sealed class RunningPostgres(Process process, bool sandboxed, ComputeFolder folder, TimeProvider time) : IRunningPostgres
    {
        /// <summary>A fast shutdown writes one checkpoint of 16 MB of buffers; a minute means that it hangs.</summary>
        static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(60);

        readonly int _processId = process.Id;

        public string SocketDirectory => folder.SocketDirectory;

        public Task Exited { get; } = process.WaitForExitAsync();

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
            process.Dispose();
        }

        // Inside the sandbox the server is the only child of bubblewrap's outer process, and process 1 of its namespace.
        int? ServerProcessId()
        {
            if (Exited.IsCompleted)
                return null;
            if (!sandboxed)
                return _processId;
            try
            {
                var children = File.ReadAllText($"/proc/{_processId}/task/{_processId}/children");
                return int.TryParse(children.Split(' ')[0], NumberStyles.None, CultureInfo.InvariantCulture, out var child) ? child : null;
            }
            catch (IOException)
            {
                return null;
            }
        }

        static async Task SignalAsync(string signal, int processId, CancellationToken cancellationToken) =>
            await ChildProcesses.RunAsync(new ChildProcessSpec("/bin/kill", ["-s", signal, $"{processId}"]), cancellationToken);
    }
}
