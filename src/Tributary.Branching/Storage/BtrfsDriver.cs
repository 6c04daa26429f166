using System.Collections.Concurrent;
using Tributary.Postgres.Programs;

namespace Tributary.Branching.Storage;

/// <summary>
/// Volumes are btrfs subvolumes; a clone is a snapshot, which is atomic and shares every extent.
/// Data directories are nodatacow: Postgres overwrites pages in place, and its own checksums watch over them.
/// Source: https://btrfs.readthedocs.io/en/latest/Subvolumes.html
/// </summary>
internal sealed class BtrfsDriver(string root) : IStorageDriver
{
    readonly BtrfsBooks _books = new();

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

    public async Task<long> ShareAlikeAsync(string volume, string other, CancellationToken cancellationToken)
    {
        // What waits in memory has no place yet, and belongs to no generation.
        await BtrfsAsync($"write {volume} to the disk", ["filesystem", "sync", PathOf(volume)], cancellationToken);
        var written = new List<FileRange>();
        var own = await _books.ReadAsync(PathOf(volume), written, cancellationToken);
        var shared = await NiceThread.RunAsync(() => AlikeBlocks.Share(PathOf(volume), PathOf(other), written, cancellationToken), cancellationToken);
        if (shared > 0)
            await CallAsync($"mark {volume}", Task.Run(() => _books.Mark(PathOf(volume), own.Generation, Math.Max(0, own.DataBytes - shared)), cancellationToken));
        return shared;
    }

    public Task FreezeAsync(string volume, CancellationToken cancellationToken) =>
        CallAsync($"freeze {volume}", BtrfsSubvolume.FreezeAsync(PathOf(volume), cancellationToken));

    public async Task DeleteAsync(string volume, CancellationToken cancellationToken)
    {
        _books.Forget(PathOf(volume));
        if (!Directory.Exists(PathOf(volume)))
            return;
        // Space is kept back for this by the file system itself (its global reserve), so that a full pool takes deletions.
        var isShort = new DriveInfo(root).AvailableFreeSpace < FreeBytesShort;
        await CallAsync($"delete {volume}", BtrfsSubvolume.DeleteAsync(PathOf(volume), cancellationToken));
        if (isShort)
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
            async (volume, token) =>
            {
                var own = await _books.ReadAsync(PathOf(volume), written: null, token);
                usage[volume] = new BranchUsage(own.DataBytes + own.LogBytes, totals[PathOf(volume)]);
            });
        return usage;
    }

    // The volume's blocks are dropped after the commit of its deletion, and are free with the commit after that.
    async Task WaitForSpaceAsync(CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(SpaceTimeout);
        try
        {
            await BtrfsAsync($"commit the deletion of volumes in {root}", ["filesystem", "sync", root], limit.Token);
            await BtrfsAsync($"wait for the space of deleted volumes in {root}", ["subvolume", "sync", root], limit.Token);
            await BtrfsAsync($"commit the deletion of volumes in {root}", ["filesystem", "sync", root], limit.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // The space comes later.
        }
    }

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
