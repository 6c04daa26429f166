using System.Collections.Concurrent;

namespace Tributary.Branching.Storage;

/// <summary>
/// Volumes are plain folders on an XFS with reflink; a clone is a new set of files that share every block with the old ones.
/// A file is cloned at one moment, a folder is not: the server on the source must stand still for the clone. Nothing is forbidden for a frozen
/// volume either, since only clones of it are ever started.
/// Source: https://man7.org/linux/man-pages/man2/ioctl_ficlone.2.html
/// </summary>
internal sealed class XfsDriver(string root) : IStorageDriver
{
    readonly FolderVolumes _volumes = new(root, reflink: "always");

    public string Name => "xfs";

    public bool ClonesAreAtomic => false;

    public string PathOf(string volume) => _volumes.PathOf(volume);

    public Task CreateAsync(string volume, CancellationToken cancellationToken) => _volumes.CreateAsync(volume, cancellationToken);

    public Task CloneAsync(string source, string copy, CancellationToken cancellationToken) => _volumes.CloneAsync(source, copy, cancellationToken);

    public Task FreezeAsync(string volume, CancellationToken cancellationToken) => Task.CompletedTask;

    public Task DeleteAsync(string volume, CancellationToken cancellationToken) => _volumes.DeleteAsync(volume, cancellationToken);

    public IReadOnlyList<string> List(string folder) => _volumes.List(folder);

    public async Task<IReadOnlyDictionary<string, BranchUsage>> MeasureAsync(IReadOnlyList<string> volumes, CancellationToken cancellationToken)
    {
        var usage = new ConcurrentDictionary<string, BranchUsage>();
        await Parallel.ForEachAsync(
            volumes.Where(volume => Directory.Exists(PathOf(volume))),
            new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount, CancellationToken = cancellationToken },
            (volume, token) =>
            {
                usage[volume] = FileExtents.Measure(PathOf(volume), token);
                return ValueTask.CompletedTask;
            });
        return usage;
    }
}
