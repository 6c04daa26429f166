using System.Diagnostics;
using Tributary.Postgres.Programs;

namespace Tributary.Load.Create;

/// <summary>
/// What a person would type: snapshot the seed, start Postgres in a bubblewrap sandbox as the postgres user, ask with psql until it answers.
/// Every step is a program of its own, as in a shell, and nothing else is between them.
/// </summary>
sealed class BareShell(PostgresInstallation installation, LoopPool pool, string seed) : IBranchMaker
{
    const string SocketPort = "5432"; // Names the socket file alone: the sandbox has no network.

    public Role Role => Role.Ceiling;

    public string Contestant => "bare shell";

    public double CpuMs => ProcessMeter.EndedChildrenCpuMs();

    public async Task<MadeBranch> MakeAsync(string name, CancellationToken cancellationToken)
    {
        var folder = Path.Combine(pool.Path, name);
        var socket = Path.Combine(folder, "socket");
        var started = Stopwatch.GetTimestamp();
        (await ChildProcesses.RunAsync(new ChildProcessSpec("btrfs", ["subvolume", "snapshot", seed, folder]), cancellationToken)).EnsureSucceeded("btrfs subvolume snapshot");
        var cloned = Stopwatch.GetElapsedTime(started);
        var process = await ChildProcesses.StartAsync(
            new ChildProcessSpec("bwrap", SandboxArguments(folder, socket))
            { AsPostgresUser = true, ParentDeathSignal = "KILL", LogFile = Path.Combine(pool.Path, $"{name}.log") },
            cancellationToken);
        try
        {
            await AskUntilAnsweredAsync(process, socket, cancellationToken);
            var elapsed = Stopwatch.GetElapsedTime(started);
            return new MadeBranch(
                elapsed, [("snapshot", cloned), ("sandbox, start, query", elapsed - cloned)], ProcessMeter.TreeBytes(process.Id), () => RemoveAsync(process, folder));
        }
        catch
        {
            await RemoveAsync(process, folder);
            throw;
        }
    }

    string[] SandboxArguments(string folder, string socket) =>
    [
        "--unshare-all", "--die-with-parent", "--as-pid-1", "--ro-bind", "/usr", "/usr", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64", "--symlink", "usr/bin", "/bin",
        "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--bind", Path.Combine(folder, "data"), "/data", "--bind", socket, "/socket", "--",
        installation.Program("postgres"), "-D", "/data", "-c", "listen_addresses=", "-c", "unix_socket_directories=/socket", "-c", $"port={SocketPort}",
    ];

    async Task AskUntilAnsweredAsync(Process process, string socket, CancellationToken cancellationToken)
    {
        while (true)
        {
            var answer = await ChildProcesses.RunAsync(
                new ChildProcessSpec(installation.Program("psql"),
                    ["-X", "-A", "-t", "-h", socket, "-p", SocketPort, "-U", "postgres", "-d", "postgres", "-c", SeedDirectory.FirstRowQuery]),
                cancellationToken);
            if (answer.Succeeded && answer.StandardOutput.Trim() == SeedDirectory.FirstRow)
                return;
            if (process.HasExited)
                throw new ChildProcessException($"The sandboxed Postgres ended with exit code {process.ExitCode}; psql said: {answer.StandardError}");
        }
    }

    static async ValueTask RemoveAsync(Process process, string folder)
    {
        // The sandbox's first process ends all others in it; the data is thrown away, so no shutdown is waited for.
        if (!process.HasExited)
            process.Kill();
        await process.WaitForExitAsync(CancellationToken.None);
        process.Dispose();
        var deleted = await ChildProcesses.RunAsync(new ChildProcessSpec("btrfs", ["subvolume", "delete", folder]), CancellationToken.None);
        deleted.EnsureSucceeded("btrfs subvolume delete");
    }
}
