using Tributary.Postgres.Programs;

namespace Tributary.Demo;

/// <summary>
/// The folder of one run: production, the replica, the server's state. Its fixed place lets the next run clean up after one that was killed.
/// A lock keeps two demonstrations apart; what is below the folder is removed at the end, the mount of the pool first.
/// </summary>
public sealed class DemoWorkspace : IAsyncDisposable
{
    /// <summary>How long a mount may stay busy: servers whose Tributary was killed need a moment to end.</summary>
    static readonly TimeSpan UnmountTimeout = TimeSpan.FromSeconds(20);

    readonly FileStream _lock;
    readonly TimeProvider _time;

    DemoWorkspace(string root, FileStream fileLock, TimeProvider time) => (Root, _lock, _time) = (root, fileLock, time);

    public string Root { get; }

    public string ProductionDirectory => Path.Combine(Root, "production");

    public string ReplicaDirectory => Path.Combine(Root, "replica");

    public string StateDirectory => Path.Combine(Root, "state");

    public string ConfigurationFile => Path.Combine(Root, "tributary.yaml");

    public string ServerLogFile => Path.Combine(Root, "tributary.log");

    /// <summary>True when an earlier run had left things, which are gone now.</summary>
    public bool CleanedUp { get; private init; }

    /// <summary>Takes the folder, and removes what a killed run has left in it.</summary>
    /// <exception cref="DemoException">Another demonstration runs, or the folder is not ours.</exception>
    public static async Task<DemoWorkspace> OpenAsync(string directory, TimeProvider time, CancellationToken cancellationToken)
    {
        var root = Path.GetFullPath(directory);
        var lockFile = root + ".lock";
        FileStream fileLock;
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(root)!);
            fileLock = new FileStream(lockFile, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new DemoException($"Another demonstration runs in {root}, or its lock {lockFile} cannot be taken: {exception.Message} End it with Ctrl-C, or choose another folder with --directory.");
        }

        try
        {
            var leftovers = Directory.Exists(root);
            if (leftovers && !File.Exists(Path.Combine(root, Mark)))
                throw new DemoException($"{root} exists and was not made by a demonstration, so it is left alone. Remove it, or choose another folder with --directory.");
            var workspace = new DemoWorkspace(root, fileLock, time) { CleanedUp = leftovers };
            await workspace.CleanAsync(cancellationToken);
            // Postgres runs as its own user and must be able to pass through.
            Directory.CreateDirectory(root, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute);
            await File.WriteAllTextAsync(Path.Combine(root, Mark), "", cancellationToken);
            return workspace;
        }
        catch
        {
            await fileLock.DisposeAsync();
            File.Delete(lockFile);
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await CleanAsync(CancellationToken.None);
        await _lock.DisposeAsync();
        File.Delete(_lock.Name);
    }

    /// <summary>A folder without this file is somebody else's.</summary>
    const string Mark = ".tributary-demo";

    async Task CleanAsync(CancellationToken cancellationToken)
    {
        var pool = Path.Combine(StateDirectory, "pool");
        var started = _time.GetTimestamp();
        while (Directory.Exists(pool) && (await ChildProcesses.RunAsync(new ChildProcessSpec("mountpoint", ["-q", pool]), cancellationToken)).Succeeded)
        {
            var result = await ChildProcesses.RunAsync(new ChildProcessSpec("umount", [pool]), cancellationToken);
            if (!result.Succeeded && _time.GetElapsedTime(started) > UnmountTimeout)
                throw new DemoException($"Cannot unmount {pool}: {result.StandardError.Trim()} See what uses it (fuser -vm {pool}), end it, and run: umount {pool}");
            if (!result.Succeeded)
                await Task.Delay(TimeSpan.FromMilliseconds(200), _time, cancellationToken);
        }

        // Never across a mount: a pool that could not be unmounted keeps its branches.
        while (Directory.Exists(Root))
        {
            var removed = await ChildProcesses.RunAsync(new ChildProcessSpec("rm", ["-rf", "--one-file-system", Root]), cancellationToken);
            if (!removed.Succeeded && _time.GetElapsedTime(started) > UnmountTimeout)
                throw new DemoException($"Cannot remove {Root}: {removed.StandardError.Trim()}");
        }
    }
}

/// <summary>The demonstration cannot go on; the message says why and what to do.</summary>
public sealed class DemoException(string message) : Exception(message);
