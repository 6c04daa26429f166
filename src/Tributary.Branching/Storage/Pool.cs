using System.Globalization;
using Tributary.Postgres.Programs;

namespace Tributary.Branching.Storage;

/// <summary>
/// The pool's folder, made ready for a driver: the state folder itself when it lies on btrfs, else a btrfs image file mounted through a
/// loop device, else (driver <c>copy</c>) a plain folder. A mount that a killed process left is taken over.
/// </summary>
internal sealed class Pool
{
    const long Mebibyte = 1L << 20;

    /// <summary>The smallest image that mkfs.btrfs and one small cluster fit in.</summary>
    const long ImageBytesMin = 256 * Mebibyte;

    readonly string _stateDirectory;
    bool _mounted;

    Pool(string stateDirectory) => _stateDirectory = stateDirectory;

    public string Root => Path.Combine(_stateDirectory, "pool");

    public required IStorageDriver Driver { get; init; }

    /// <summary>Why the driver is not the better one; null when it is.</summary>
    public string? Warning { get; init; }

    /// <summary>Makes the pool ready.</summary>
    /// <exception cref="StorageException">It cannot be; the message says why and what to do.</exception>
    public static async Task<Pool> OpenAsync(BranchingOptions options, CancellationToken cancellationToken)
    {
        var root = Path.Combine(options.StateDirectory, "pool");
        Directory.CreateDirectory(root);
        var obstacle = options.Driver == "copy" ? null : await BtrfsObstacleAsync(options, root, cancellationToken);
        Pool pool;
        if (options.Driver == "copy" || (options.Driver == "auto" && obstacle is not null))
        {
            pool = new Pool(options.StateDirectory)
            {
                Driver = new CopyDriver(root),
                Warning = obstacle is null ? null : $"Branches are full copies, since {obstacle}",
            };
        }
        else if (obstacle is not null)
        {
            throw new StorageException($"The btrfs driver cannot be used: {obstacle} Set branching.driver to auto or copy to go on without it.");
        }
        else
        {
            pool = new Pool(options.StateDirectory) { Driver = new BtrfsDriver(root), _mounted = await IsMountedAsync(root, cancellationToken) };
        }

        // Only root enters the pool by its path; each data directory belongs to the user that runs Postgres.
        foreach (var folder in new[] { root, Path.Combine(root, "seeds"), Path.Combine(root, "branches") })
            Directory.CreateDirectory(folder);
        return pool;
    }

    /// <summary>Bytes used in the pool, and the bytes it can hold.</summary>
    public (long Used, long Max, long Free) Space()
    {
        var drive = new DriveInfo(Root);
        return (drive.TotalSize - drive.TotalFreeSpace, drive.TotalSize, drive.AvailableFreeSpace);
    }

    /// <summary>Unmounts the image; the data stays in it.</summary>
    public async Task CloseAsync()
    {
        if (!_mounted)
            return;
        var result = await ChildProcesses.RunAsync(new ChildProcessSpec("umount", [Root]), CancellationToken.None);
        if (!result.Succeeded)
            throw new StorageException($"Cannot unmount {Root}: {result.StandardError.Trim()} End what still uses it (fuser -vm {Root}) and run: umount {Root}");
        _mounted = false;
    }

    // Answers null when the root is on btrfs after the call, else why it cannot be.
    static async Task<string?> BtrfsObstacleAsync(BranchingOptions options, string root, CancellationToken cancellationToken)
    {
        if (!Environment.IsPrivilegedProcess)
            return "Tributary does not run as root, which mounting and deleting snapshots need (run it with sudo).";
        if (!File.Exists("/usr/bin/btrfs") && !File.Exists("/bin/btrfs") && !File.Exists("/usr/sbin/btrfs") && !File.Exists("/sbin/btrfs"))
            return "btrfs-progs is not installed (apt-get install btrfs-progs).";
        if (await FileSystemOfAsync(root, cancellationToken) == "btrfs")
            return null;
        return await MountImageAsync(Path.Combine(options.StateDirectory, "pool.img"), root, options.PoolBytesMax, cancellationToken);
    }

    static async Task<string?> MountImageAsync(string image, string root, long bytesMax, CancellationToken cancellationToken)
    {
        if (bytesMax < ImageBytesMin)
            return $"the pool size of {bytesMax / Mebibyte} MiB is below the least of {ImageBytesMin / Mebibyte} MiB (branching.pool-size).";
        if (!File.Exists("/dev/loop-control"))
            return "this machine has no loop devices (/dev/loop-control is missing).";
        if (!File.Exists(image))
        {
            // The image takes its name only when it is complete, so that a crash in mkfs leaves nothing that looks like a pool.
            var unfinished = image + ".unfinished";
            await using (var file = new FileStream(unfinished, FileMode.Create, FileAccess.Write))
                file.SetLength(bytesMax);
            File.SetUnixFileMode(unfinished, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            var made = await ChildProcesses.RunAsync(new ChildProcessSpec("mkfs.btrfs", ["-q", "-f", "-L", "tributary", unfinished]), cancellationToken);
            if (!made.Succeeded)
                return $"mkfs.btrfs failed on {unfinished}: {made.StandardError.Trim()}";
            File.Move(unfinished, image);
        }

        var mounted = await ChildProcesses.RunAsync(
            new ChildProcessSpec("mount", ["-t", "btrfs", "-o", "loop,noatime,nodev,nosuid,noexec", image, root]), cancellationToken);
        return mounted.Succeeded ? null : $"mounting {image} failed: {mounted.StandardError.Trim()}";
    }

    static async Task<bool> IsMountedAsync(string root, CancellationToken cancellationToken) =>
        (await ChildProcesses.RunAsync(new ChildProcessSpec("mountpoint", ["-q", root]), cancellationToken)).Succeeded;

    static async Task<string> FileSystemOfAsync(string path, CancellationToken cancellationToken)
    {
        var result = await ChildProcesses.RunAsync(new ChildProcessSpec("stat", ["--file-system", "--format=%T", path]), cancellationToken);
        return result.EnsureSucceeded($"stat {path}").StandardOutput.Trim().ToString(CultureInfo.InvariantCulture);
    }
}
