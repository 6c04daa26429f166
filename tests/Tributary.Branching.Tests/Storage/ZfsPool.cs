using System.Diagnostics;
using Tributary.Postgres.Programs;
using Tributary.Testing;

namespace Tributary.Branching.Tests.Storage;

/// <summary>
/// A ZFS pool in a file. Where no ZFS answers, <c>zfs-fuse</c> is started for it and ended after the last test; one that runs already is used and left alone.
/// </summary>
public sealed class ZfsPool : IAsyncLifetime
{
    Process? _daemon;

    /// <summary>Null where this machine lacks the programs.</summary>
    public string? Name { get; private set; }

    /// <summary>Why there is no pool.</summary>
    public string Reason { get; private set; } = "";

    public async ValueTask InitializeAsync()
    {
        if (!File.Exists("/sbin/zfs-fuse") && !File.Exists("/sbin/zfs"))
        {
            Reason = "zfs-fuse is not on this machine: ./test installs it (apt-get install zfs-fuse).";
            return;
        }

        var folder = TestFolder.New("zfs");
        if (!await AnswersAsync())
        {
            _daemon = await ChildProcesses.StartAsync(
                new ChildProcessSpec("zfs-fuse", ["--no-daemon", "--pidfile", Path.Combine(folder, "pid")]) { ParentDeathSignal = "TERM", LogFile = Path.Combine(folder, "log") }, CancellationToken.None);
            var clock = Stopwatch.StartNew();
            while (!await AnswersAsync())
            {
                if (_daemon.HasExited || clock.Elapsed > TimeSpan.FromSeconds(20))
                {
                    Reason = $"zfs-fuse does not run here: {await File.ReadAllTextAsync(Path.Combine(folder, "log"))}";
                    return;
                }

                await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System);
            }
        }

        var file = Path.Combine(folder, "disk");
        await using (var disk = new FileStream(file, FileMode.CreateNew))
            disk.SetLength(512L << 20);
        var name = $"tributary{Environment.ProcessId}";

        // Without a cache file the next daemon does not look for a pool whose file is gone.
        var made = await ChildProcesses.RunAsync(new ChildProcessSpec("zpool", ["create", "-o", "cachefile=none", "-m", "none", name, file]), CancellationToken.None);
        if (made.Succeeded)
            Name = name;
        else
            Reason = $"zpool create failed: {made.StandardError.Trim()}";
    }

    public async ValueTask DisposeAsync()
    {
        if (Name is not null)
            (await ChildProcesses.RunAsync(new ChildProcessSpec("zpool", ["destroy", "-f", Name]), CancellationToken.None)).EnsureSucceeded("zpool destroy");
        if (_daemon is null)
            return;
        if (!_daemon.HasExited)
            await ChildProcesses.RunAsync(new ChildProcessSpec("/bin/kill", ["-s", "TERM", $"{_daemon.Id}"]), CancellationToken.None);
        await _daemon.WaitForExitAsync();
        _daemon.Dispose();
    }

    static async Task<bool> AnswersAsync() => (await ChildProcesses.RunAsync(new ChildProcessSpec("zpool", ["list"]), CancellationToken.None)).Succeeded;
}
