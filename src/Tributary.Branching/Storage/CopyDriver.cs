namespace Tributary.Branching.Storage;

/// <summary>
/// Volumes are plain folders; a clone is a copy of each file, sharing blocks only where the file system can (reflink).
/// It works anywhere and costs time and space in proportion to the data, so it is the driver of last resort.
/// </summary>
internal sealed class CopyDriver(string root) : FolderDriver(root, reflink: "auto")
{
    public override string Name => "copy";

    public override async Task<IReadOnlyDictionary<string, BranchUsage>> MeasureAsync(IReadOnlyList<string> volumes, CancellationToken cancellationToken)
    {
        var totals = await StorageCommand.TotalBytesAsync([.. volumes.Select(PathOf).Where(Directory.Exists)], cancellationToken);
        return volumes.Where(volume => totals.ContainsKey(PathOf(volume))).ToDictionary(
            volume => volume, volume => new BranchUsage(totals[PathOf(volume)], totals[PathOf(volume)]));
    }
}
