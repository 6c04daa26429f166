using Tributary.Postgres.Programs;

namespace Tributary.Branching.Storage;

/// <summary>
/// The image file that holds the pool where the machine has no file system for it: made once, grown as <see cref="ImageSize"/> allows, mounted through
/// a loop device. A mount that a killed process left is taken over.
/// </summary>
/// <param name="stateDirectory">Where the image lies.</param>
/// <param name="fileSystem"><c>btrfs</c> or <c>xfs</c>.</param>
/// <param name="bytesMax">What the image may grow to.</param>
internal sealed class PoolImage(string stateDirectory, string fileSystem, long bytesMax)
{
    /// <summary>With its pause about ten seconds: whatever still holds the mount by then is there to stay, and the message names the way to find it.</summary>
    const int UnmountAttemptsMax = 50;

    static readonly TimeSpan UnmountPause = TimeSpan.FromMilliseconds(200);

    public const string FileName = "pool.img";

    /// <summary>Exists while the image is mounted, so that the next start knows of a close that did not happen.</summary>
    public const string MarkerName = "pool.mounted";

    const long Mebibyte = 1L << 20;

    /// <summary>Growing by less is not worth the calls.</summary>
    const long GrowBytesMin = 64 * Mebibyte;

    /// <summary>How long the file system's own check may take before its findings are left out: it reads all metadata.</summary>
    static readonly TimeSpan CheckTimeout = TimeSpan.FromMinutes(2);

    readonly string _image = Path.Combine(stateDirectory, FileName);
    readonly string _marker = Path.Combine(stateDirectory, MarkerName);
    readonly List<string> _warnings = [];

    /// <summary>What is not as it should be, though the pool works.</summary>
    public IReadOnlyList<string> Warnings => _warnings;

    public bool IsMounted { get; private set; }

    /// <summary>The smallest image that the file system and one small cluster fit in; mkfs.xfs refuses less than 300 MiB.</summary>
    long BytesMin => (fileSystem == "xfs" ? 320 : 256) * Mebibyte;

    public static bool Exists(string stateDirectory) => File.Exists(Path.Combine(stateDirectory, FileName));

    /// <summary>What a doctor says of an image without mounting it, a sentence each.</summary>
    public static async Task<IReadOnlyList<string>> CheckFileAsync(BranchingOptions options, string root, CancellationToken cancellationToken)
    {
        var image = Path.Combine(options.StateDirectory, FileName);
        var found = new List<string>();
        var (bytes, mounted) = (new FileInfo(image).Length, await StorageFacts.IsMountPointAsync(root, cancellationToken));
        if (bytes > options.PoolBytesMax)
            found.Add($"{image} has {bytes / Mebibyte} MiB, more than branching.pool-size; an image is never made smaller");
        if (await ImageSize.ShortageAsync(image, cancellationToken) is { } shortage)
            found.Add(shortage);
        if (!mounted && File.Exists(Path.Combine(options.StateDirectory, MarkerName)))
            found.Add($"{image} was not unmounted when the machine or the server stopped; the next start replays its log and looks at its errors");
        return found;
    }

    /// <summary>Answers null when the image is mounted on the root after the call, else why this machine cannot do that.</summary>
    /// <exception cref="StorageException">There is an image, so that going on without it would lose sight of its branches, and it cannot be mounted.</exception>
    public async Task<string?> MountAsync(string root, CancellationToken cancellationToken)
    {
        var allowed = await ImageSize.AllowedAsync(_image, bytesMax, cancellationToken);
        var mounted = await StorageFacts.IsMountPointAsync(root, cancellationToken);
        if (!mounted)
        {
            if (bytesMax < BytesMin)
                return $"the pool size of {bytesMax / Mebibyte} MiB is below the least of {BytesMin / Mebibyte} MiB (branching.pool-size).";
            if (!File.Exists("/dev/loop-control"))
                return "this machine has no loop devices (/dev/loop-control is missing).";
        }

        var made = !File.Exists(_image);
        if (made && allowed < BytesMin)
            return $"the disk of {stateDirectory} has room for an image of {allowed / Mebibyte} MiB, and it takes at least {BytesMin / Mebibyte} MiB (free some, or use another state folder).";
        if (made && await MakeAsync(allowed, cancellationToken) is { } obstacle)
            return obstacle;
        if (!made)
            GrowFile(allowed);
        if (!mounted && await MountFileAsync(root, cancellationToken) is { } failure)
        {
            if (!made)
                throw new StorageException($"Mounting {_image} failed: {failure} {await DiagnoseAsync(cancellationToken)}");
            File.Delete(_image);
            return $"mounting {_image} failed: {failure}";
        }

        // Not only when the file has just grown: a crash may have come between that and this.
        if (!made)
            await GrowFileSystemAsync(root, mounted, cancellationToken);
        if (File.Exists(_marker) && fileSystem == "btrfs")
            _warnings.AddRange(await DeviceErrorsAsync(root, cancellationToken));
        await File.WriteAllBytesAsync(_marker, [], cancellationToken);
        IsMounted = true;
        return null;
    }

    /// <summary>Makes the mounted image as large as is allowed now; answers whether that is worth more than nothing.</summary>
    /// <exception cref="StorageException">The loop device or the file system refuses.</exception>
    public async Task<bool> GrowAsync(string root, CancellationToken cancellationToken)
    {
        var bytes = new FileInfo(_image).Length;
        if (bytes >= bytesMax || await ImageSize.AllowedAsync(_image, bytesMax, cancellationToken) is var allowed && allowed < Math.Min(bytesMax, bytes + GrowBytesMin))
            return false;
        GrowFile(allowed);
        await GrowFileSystemAsync(root, loopIsOld: true, cancellationToken);
        return true;
    }

    /// <summary>Bytes that the image may still grow by.</summary>
    public async Task<long> GrowableAsync(CancellationToken cancellationToken) =>
        Math.Max(0, await ImageSize.AllowedAsync(_image, bytesMax, cancellationToken) - new FileInfo(_image).Length);

    /// <summary>Unmounts; the data stays in the image.</summary>
    public async Task UnmountAsync(string root)
    {
        var unmount = new ChildProcessSpec("umount", [root]);
        var result = await ChildProcesses.RunAsync(unmount, CancellationToken.None);
        // A process that has just ended, or a command that has just answered, may hold the mount a moment longer on a busy machine.
        for (var attempt = 1; attempt < UnmountAttemptsMax && result.StandardError.Contains("busy", StringComparison.Ordinal); attempt++)
        {
            await Task.Delay(UnmountPause, TimeProvider.System);
            result = await ChildProcesses.RunAsync(unmount, CancellationToken.None);
        }

        if (!result.Succeeded)
            throw new StorageException($"Cannot unmount {root}: {result.StandardError.Trim()} End what still uses it (fuser -vm {root}) and run: umount {root}");
        File.Delete(_marker);
    }

    /// <summary>The errors that btrfs has counted on the devices of a mounted file system, a sentence each counter.</summary>
    public static async Task<IReadOnlyList<string>> DeviceErrorsAsync(string root, CancellationToken cancellationToken)
    {
        // [/dev/loop0].write_io_errs    0
        var stats = await ChildProcesses.RunAsync(new ChildProcessSpec("btrfs", ["device", "stats", root]), cancellationToken);
        return
        [
            .. stats.StandardOutput.Split('\n').Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries)).Where(fields => fields is [_, not "0"])
                .Select(fields => $"btrfs has counted {fields[1]} errors below {root} ({fields[0]}): look at the disk, and run: btrfs scrub start -B {root}"),
        ];
    }

    // The image takes its name only when it is complete, so that a crash in mkfs leaves nothing that looks like a pool.
    async Task<string?> MakeAsync(long bytes, CancellationToken cancellationToken)
    {
        var unfinished = _image + ".unfinished";
        await using (var file = new FileStream(unfinished, FileMode.Create, FileAccess.Write))
            file.SetLength(bytes);
        File.SetUnixFileMode(unfinished, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        IReadOnlyList<string> arguments = fileSystem == "btrfs" ? ["-q", "-f", "-L", "tributary", unfinished] : ["-q", "-f", "-m", "reflink=1", "-L", "tributary", unfinished];
        var made = await ChildProcesses.RunAsync(new ChildProcessSpec($"mkfs.{fileSystem}", arguments), cancellationToken);
        if (!made.Succeeded)
            return $"mkfs.{fileSystem} failed on {unfinished}: {made.StandardError.Trim()}";
        File.Move(unfinished, _image);
        return null;
    }

    void GrowFile(long allowed)
    {
        var bytes = new FileInfo(_image).Length;
        if (bytes > bytesMax)
            _warnings.Add($"The pool's image {_image} has {bytes / Mebibyte} MiB, and branching.pool-size asks for {bytesMax / Mebibyte} MiB. An image is never made smaller; it stays as it is.");
        if (bytes >= allowed)
            return;
        using var file = new FileStream(_image, FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
        file.SetLength(allowed);
    }

    async Task<string?> MountFileAsync(string root, CancellationToken cancellationToken)
    {
        // Discarded blocks make holes in the image, so that the machine's disk gets back what a deleted branch held; btrfs does so by itself.
        var options = "loop,noatime,nodev,nosuid,noexec" + (fileSystem == "xfs" ? ",discard" : "");
        var mounted = await ChildProcesses.RunAsync(new ChildProcessSpec("mount", ["-t", fileSystem, "-o", options, _image, root]), cancellationToken);
        return mounted.Succeeded ? null : mounted.StandardError.Trim();
    }

    async Task GrowFileSystemAsync(string root, bool loopIsOld, CancellationToken cancellationToken)
    {
        if (loopIsOld)
        {
            var device = await ChildProcesses.RunAsync(new ChildProcessSpec("findmnt", ["--noheadings", "--output", "SOURCE", "--mountpoint", root]), cancellationToken);
            await StorageCommand.RunAsync($"grow the loop device of {root}", "losetup", ["--set-capacity", device.StandardOutput.Trim()], cancellationToken);
        }

        if (fileSystem == "btrfs")
            await StorageCommand.RunAsync($"grow the pool in {root}", "btrfs", ["filesystem", "resize", "max", root], cancellationToken);
        else
            await StorageCommand.RunAsync($"grow the pool in {root}", "xfs_growfs", ["-d", root], cancellationToken);
    }

    // What the file system's own check finds in an image that cannot be mounted, and what is to be done. The check reads and changes nothing.
    async Task<string> DiagnoseAsync(CancellationToken cancellationToken)
    {
        var type = await StorageFacts.FileSystemInAsync(_image, cancellationToken);
        if (type is "btrfs" or "xfs" && type != fileSystem)
            return $"It holds {type}, and branching.driver asks for {fileSystem}. Set branching.driver to {type}, or remove the branches with 'tributary destroy' and begin anew.";
        var (program, arguments) = fileSystem == "btrfs" ? ("btrfs", new[] { "check", "--readonly", _image }) : ("xfs_repair", ["-n", _image]);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(CheckTimeout);
        var found = "did not end in time.";
        try
        {
            var check = await ChildProcesses.RunAsync(new ChildProcessSpec(program, arguments), limit.Token);
            var lines = $"{check.StandardOutput}\n{check.StandardError}".Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
            found = check.Succeeded
                ? "finds no error in it, so the fault is elsewhere: see the kernel's messages (dmesg)."
                : $"says: {string.Join("; ", lines.Where(line => line.Contains("ERROR", StringComparison.OrdinalIgnoreCase) || line.Contains("bad", StringComparison.OrdinalIgnoreCase)).DefaultIfEmpty(lines.LastOrDefault("nothing")).Take(4))}.";
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // The mount's own message has to do.
        }

        return $"'{program} {string.Join(' ', arguments)}' {found} Production is not touched: put back a copy of the image, or remove it with 'tributary destroy' and begin anew.";
    }
}
