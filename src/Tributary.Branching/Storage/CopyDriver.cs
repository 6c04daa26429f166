namespace Tributary.Branching.Storage;

/// <summary>
/// Volumes are plain folders; a clone is a copy of each file, sharing blocks only where the file system can (reflink).
/// It works anywhere and costs time and space in proportion to the data, so it is the driver of last resort.
/// </summary>
internal sealed class CopyDriver(string root) : IStorageDriver
{
    readonly FolderVolumes _volumes = new(root, reflink: "auto");

    public string Name => "copy";

    public bool ClonesAreAtomic => false;

    public string PathOf(string volume) => _volumes.PathOf(volume);

    public Task CreateAsync(string volume, CancellationToken cancellationToken) => _volumes.CreateAsync(volume, cancellationToken);

    public Task CloneAsync(string source, string copy, CancellationToken cancellationToken) => _volumes.CloneAsync(source, copy, cancellationToken);

    /// <summary>Nothing to forbid: only clones of a frozen volume are ever started.</summary>
    public Task FreezeAsync(string volume, CancellationToken cancellationToken) => Task.CompletedTask;

    public Task DeleteAsync(string volume, CancellationToken cancellationToken) => _volumes.DeleteAsync(volume, cancellationToken);

    public IReadOnlyList<string> List(string folder) => _volumes.List(folder);

    public async Task<IReadOnlyDictionary<string, BranchUsage>> MeasureAsync(IReadOnlyList<string> volumes, CancellationToken cancellationToken)
    {
        var totals = await StorageCommand.TotalBytesAsync([.. volumes.Select(PathOf).Where(Directory.Exists)], cancellationToken);
        return volumes.Where(volume => totals.ContainsKey(PathOf(volume))).ToDictionary(
            volume => volume, volume => new BranchUsage(totals[PathOf(volume)], totals[PathOf(volume)]));
    }
}
