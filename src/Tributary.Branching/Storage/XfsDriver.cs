using System.Collections.Concurrent;

namespace Tributary.Branching.Storage;

/// <summary>
/// Volumes are plain folders on an XFS with reflink; a clone is a new set of files that share every block with the old ones.
/// Source: https://man7.org/linux/man-pages/man2/ioctl_ficlone.2.html
/// </summary>
internal sealed class XfsDriver(string root) : FolderDriver(root, reflink: "always")
{
    public override string Name => "xfs";

    public override async Task<IReadOnlyDictionary<string, BranchUsage>> MeasureAsync(IReadOnlyList<string> volumes, CancellationToken cancellationToken)
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

    public override Task<long> ShareAlikeAsync(string volume, string other, CancellationToken cancellationToken) => NiceThread.RunAsync(
        () => Directory.Exists(PathOf(volume))
            ? AlikeBlocks.Share(
                PathOf(volume), PathOf(other), FileExtents.Below(PathOf(volume), cancellationToken).Where(static extent => !extent.IsShared).Select(static extent => extent.Range), cancellationToken)
            : 0L, cancellationToken);
}
