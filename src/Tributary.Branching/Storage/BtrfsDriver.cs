using System.Collections.Concurrent;
using System.Globalization;
using Tributary.Postgres.Programs;

namespace Tributary.Branching.Storage;

/// <summary>
/// Volumes are btrfs subvolumes; a clone is a snapshot, which is atomic and shares every extent.
/// Data directories are nodatacow: Postgres overwrites pages in place, and its own checksums watch over them.
/// Source: https://btrfs.readthedocs.io/en/latest/Subvolumes.html
/// </summary>
internal sealed class BtrfsDriver(string root) : IStorageDriver
{
    /// <summary>The generation at which each clone was made, which never changes; forgotten when the volume is deleted.</summary>
    readonly ConcurrentDictionary<string, string> _generations = new();

    /// <summary>
    /// With less than this free a deletion waits for its space. The kernel gives it back by itself, but only with its commits, which are 30 s apart,
    /// and until then branches would be refused that fit. 256 MiB.
    /// </summary>
    const long FreeBytesShort = 2 * BranchRegistry.FreeBytesMin;

    /// <summary>How long a deletion waits for its space: the kernel frees some GB a second, and what takes longer goes on without anybody waiting.</summary>
    static readonly TimeSpan SpaceTimeout = TimeSpan.FromSeconds(30);

    public string Name => "btrfs";

    public bool ClonesAreAtomic => true;

    public bool ClonesShareBytes => true;

    public string PathOf(string volume) => Path.Combine(root, volume);

    public async Task CreateAsync(string volume, CancellationToken cancellationToken)
    {
        var path = PathOf(volume);
        await DeleteAsync(volume, cancellationToken);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        await BtrfsAsync($"make the volume {volume}", ["subvolume", "create", path], cancellationToken);
        await StorageCommand.RunAsync($"turn off copy-on-write of data in {volume}", "chattr", ["+C", path], cancellationToken);
        PostgresUser.Own(PathOf(volume));
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    // What is overwritten in place is never compressed, so the one excludes the other.
    public async Task CompressAsync(string volume, CancellationToken cancellationToken)
    {
        await StorageCommand.RunAsync($"turn on copy-on-write of data in {volume}", "chattr", ["-C", PathOf(volume)], cancellationToken);
        await BtrfsAsync($"turn on the compression of {volume}", ["property", "set", PathOf(volume), "compression", "zstd"], cancellationToken);
    }

    public async Task CloneAsync(string source, string copy, CancellationToken cancellationToken)
    {
        await DeleteAsync(copy, cancellationToken);
        Directory.CreateDirectory(Path.GetDirectoryName(PathOf(copy))!);
        await CallAsync($"clone {source} to {copy}", BtrfsSubvolume.SnapshotAsync(PathOf(source), PathOf(copy), cancellationToken));
    }

    public Task FreezeAsync(string volume, CancellationToken cancellationToken) =>
        CallAsync($"freeze {volume}", BtrfsSubvolume.FreezeAsync(PathOf(volume), cancellationToken));

    public async Task DeleteAsync(string volume, CancellationToken cancellationToken)
    {
        _generations.TryRemove(volume, out _);
        if (!Directory.Exists(PathOf(volume)))
            return;
        // Space is kept back for this by the file system itself (its global reserve), so that a full pool takes deletions.
        if (new DriveInfo(root).AvailableFreeSpace >= FreeBytesShort)
        {
            await CallAsync($"delete {volume}", BtrfsSubvolume.DeleteAsync(PathOf(volume), cancellationToken));
            return;
        }

        await BtrfsAsync($"delete {volume}", ["subvolume", "delete", "--commit-after", PathOf(volume)], cancellationToken);
        await WaitForSpaceAsync(cancellationToken);
    }

    public IReadOnlyList<string> List(string folder) => StorageCommand.ListFolder(root, folder);

    public async Task<IReadOnlyDictionary<string, BranchUsage>> MeasureAsync(IReadOnlyList<string> volumes, CancellationToken cancellationToken)
    {
        var totals = await StorageCommand.TotalBytesAsync([.. volumes.Select(PathOf).Where(Directory.Exists)], cancellationToken);
        var usage = new ConcurrentDictionary<string, BranchUsage>();
        await Parallel.ForEachAsync(
            volumes.Where(volume => totals.ContainsKey(PathOf(volume))),
            new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount, CancellationToken = cancellationToken },
            async (volume, token) => usage[volume] = new BranchUsage(await WrittenBytesAsync(volume, token), totals[PathOf(volume)]));
        return usage;
    }

    // The volume's blocks are dropped after the commit of its deletion, and are free with the commit after that.
    async Task WaitForSpaceAsync(CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(SpaceTimeout);
        try
        {
            await BtrfsAsync($"wait for the space of deleted volumes in {root}", ["subvolume", "sync", root], limit.Token);
            await BtrfsAsync($"commit the deletion of volumes in {root}", ["filesystem", "sync", root], limit.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // The space comes later.
        }
    }

    // What a clone has written since it was made is what it does not share. The file system keeps the generation of each extent and skips
    // whole subtrees that are older, so this takes milliseconds, where asking for each extent whether it is shared takes a second for fifty clones.
    async Task<long> WrittenBytesAsync(string volume, CancellationToken cancellationToken)
    {
        if (!_generations.TryGetValue(volume, out var generation))
        {
            var shown = await ChildProcesses.RunAsync(new ChildProcessSpec("btrfs", ["subvolume", "show", PathOf(volume)]), cancellationToken);
            generation = shown.StandardOutput.Split('\n')
                .Where(line => line.Contains("Gen at creation:", StringComparison.Ordinal))
                .Select(line => line[(line.IndexOf(':', StringComparison.Ordinal) + 1)..].Trim())
                .FirstOrDefault();
            if (generation is null)
                return 0;
            _generations[volume] = generation;
        }

        var found = await ChildProcesses.RunAsync(new ChildProcessSpec("btrfs", ["subvolume", "find-new", PathOf(volume), generation]), cancellationToken);
        return found.StandardOutput.Split('\n').Sum(LengthOf);
    }

    // inode 259 file offset 16384 len 24576 disk start 1171406848 offset 0 gen 58 flags NONE base/5/2619
    static long LengthOf(string line) =>
        line.Split(' ', 8) is ["inode", _, "file", "offset", _, "len", var length, ..] && long.TryParse(length, NumberStyles.None, CultureInfo.InvariantCulture, out var bytes) ? bytes : 0;

    static async Task CallAsync(string what, Task call)
    {
        try
        {
            await call;
        }
        catch (IOException exception)
        {
            throw StorageCommand.Refused(what, exception.Message);
        }
    }

    static Task BtrfsAsync(string what, IReadOnlyList<string> arguments, CancellationToken cancellationToken) => StorageCommand.RunAsync(what, "btrfs", arguments, cancellationToken);
}
