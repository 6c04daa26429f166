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
    /// <summary>Paths in one call of <c>btrfs filesystem du</c>: a bound on the length of a command line.</summary>
    const int MeasuredAtOnceMax = 200;

    public string Name => "btrfs";

    public bool ClonesAreAtomic => true;

    public string PathOf(string volume) => Path.Combine(root, volume);

    public async Task CreateAsync(string volume, CancellationToken cancellationToken)
    {
        var path = PathOf(volume);
        await DeleteAsync(volume, cancellationToken);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        await BtrfsAsync($"make the volume {volume}", ["subvolume", "create", path], cancellationToken);
        await StorageCommand.RunAsync($"turn off copy-on-write of data in {volume}", "chattr", ["+C", path], cancellationToken);
        if (Environment.IsPrivilegedProcess)
            await StorageCommand.RunAsync($"give {volume} to the postgres user", "chown", ["postgres:postgres", path], cancellationToken);
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    public async Task CloneAsync(string source, string copy, CancellationToken cancellationToken)
    {
        await DeleteAsync(copy, cancellationToken);
        Directory.CreateDirectory(Path.GetDirectoryName(PathOf(copy))!);
        await BtrfsAsync($"clone {source} to {copy}", ["subvolume", "snapshot", PathOf(source), PathOf(copy)], cancellationToken);
    }

    public Task FreezeAsync(string volume, CancellationToken cancellationToken) =>
        BtrfsAsync($"freeze {volume}", ["property", "set", "-ts", PathOf(volume), "ro", "true"], cancellationToken);

    public async Task DeleteAsync(string volume, CancellationToken cancellationToken)
    {
        if (Directory.Exists(PathOf(volume)))
            await BtrfsAsync($"delete {volume}", ["subvolume", "delete", PathOf(volume)], cancellationToken);
    }

    public IReadOnlyList<string> List(string folder) => StorageCommand.ListFolder(root, folder);

    public async Task<IReadOnlyDictionary<string, BranchUsage>> MeasureAsync(IReadOnlyList<string> volumes, CancellationToken cancellationToken)
    {
        var usage = new Dictionary<string, BranchUsage>();
        foreach (var chunk in volumes.Where(volume => Directory.Exists(PathOf(volume))).Chunk(MeasuredAtOnceMax))
        {
            var byPath = chunk.ToDictionary(PathOf);
            var result = await ChildProcesses.RunAsync(
                new ChildProcessSpec("btrfs", ["filesystem", "du", "-s", "--raw", .. byPath.Keys]), cancellationToken);
            // A branch deleted meanwhile makes the program fail on that path alone; the other lines hold.
            foreach (var line in result.StandardOutput.Split('\n'))
            {
                var words = line.Split(' ', 4, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
                if (words is [var total, var exclusive, _, var path] && byPath.TryGetValue(path, out var volume) &&
                    long.TryParse(total, NumberStyles.None, CultureInfo.InvariantCulture, out var totalBytes) &&
                    long.TryParse(exclusive, NumberStyles.None, CultureInfo.InvariantCulture, out var exclusiveBytes))
                    usage[volume] = new BranchUsage(exclusiveBytes, totalBytes);
            }
        }

        return usage;
    }

    static Task BtrfsAsync(string what, IReadOnlyList<string> arguments, CancellationToken cancellationToken) => StorageCommand.RunAsync(what, "btrfs", arguments, cancellationToken);
}
