namespace Tributary.Branching.Storage;

/// <summary>
/// Volumes are plain folders; a clone is a copy of each file, sharing blocks only where the file system can (reflink).
/// It works anywhere and costs time and space in proportion to the data, so it is the driver of last resort.
/// </summary>
internal sealed class CopyDriver(string root) : IStorageDriver
{
    public string Name => "copy";

    public bool ClonesAreAtomic => false;

    public string PathOf(string volume) => Path.Combine(root, volume);

    public async Task CreateAsync(string volume, CancellationToken cancellationToken)
    {
        await DeleteAsync(volume, cancellationToken);
        Directory.CreateDirectory(PathOf(volume), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        if (Environment.IsPrivilegedProcess)
            await StorageCommand.RunAsync($"give {volume} to the postgres user", "chown", ["postgres:postgres", PathOf(volume)], cancellationToken);
    }

    public async Task CloneAsync(string source, string copy, CancellationToken cancellationToken)
    {
        // The copy is made beside its place and renamed, so that a crash in the middle never leaves a half one under the name.
        var unfinished = PathOf(copy) + ".unfinished";
        await DeleteAsync(copy, cancellationToken);
        Directory.CreateDirectory(Path.GetDirectoryName(unfinished)!);
        await StorageCommand.RunAsync($"clone {source} to {copy}", "cp", ["--archive", "--reflink=auto", "--no-target-directory", PathOf(source), unfinished], cancellationToken);
        Directory.Move(unfinished, PathOf(copy));
    }

    /// <summary>Nothing to forbid: only clones of a frozen volume are ever started.</summary>
    public Task FreezeAsync(string volume, CancellationToken cancellationToken) => Task.CompletedTask;

    public async Task DeleteAsync(string volume, CancellationToken cancellationToken)
    {
        foreach (var path in new[] { PathOf(volume), PathOf(volume) + ".unfinished" })
        {
            if (Directory.Exists(path))
                await StorageCommand.RunAsync($"delete {volume}", "rm", ["-rf", "--one-file-system", path], cancellationToken);
        }
    }

    public IReadOnlyList<string> List(string folder) => StorageCommand.ListFolder(root, folder);

    public async Task<IReadOnlyDictionary<string, BranchUsage>> MeasureAsync(IReadOnlyList<string> volumes, CancellationToken cancellationToken)
    {
        var totals = await StorageCommand.TotalBytesAsync([.. volumes.Select(PathOf).Where(Directory.Exists)], cancellationToken);
        return volumes.Where(volume => totals.ContainsKey(PathOf(volume))).ToDictionary(
            volume => volume, volume => new BranchUsage(totals[PathOf(volume)], totals[PathOf(volume)]));
    }
}
