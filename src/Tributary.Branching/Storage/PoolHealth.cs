using Tributary.Postgres.Programs;

namespace Tributary.Branching.Storage;

/// <summary>What is wrong with a pool, seen from outside: the server may run or not, and nothing is changed.</summary>
internal static class PoolHealth
{
    /// <summary>A sentence each fault; none when all is well, and when there is no pool yet.</summary>
    /// <exception cref="StorageException">The configuration's place for the pool makes no sense, or its file system does not answer.</exception>
    public static async Task<IReadOnlyList<string>> CheckAsync(BranchingOptions options, CancellationToken cancellationToken)
    {
        if (options.Driver == "zfs")
            return await CheckZfsAsync(options.PoolPath ?? "", cancellationToken);
        var root = Pool.RootOf(options);
        if (!Directory.Exists(root))
            return await CheckPlaceAsync(options, root, cancellationToken);
        var found = new List<string>();
        var fileSystem = await StorageFacts.FileSystemOfAsync(root, cancellationToken);
        if (options.PoolPath is not null)
            found.AddRange(await CheckPlaceAsync(options, root, cancellationToken));
        else if (PoolImage.Exists(options.StateDirectory))
            found.AddRange(await PoolImage.CheckFileAsync(options, root, cancellationToken));
        if (fileSystem == "btrfs" && options.Driver != "copy" && Environment.IsPrivilegedProcess && StorageFacts.Has("btrfs"))
            found.AddRange(await PoolImage.DeviceErrorsAsync(root, cancellationToken));
        return found;
    }

    // A folder that the configuration names is made by the first start; until then its parent says what it will be on.
    static async Task<IReadOnlyList<string>> CheckPlaceAsync(BranchingOptions options, string root, CancellationToken cancellationToken)
    {
        if (options.PoolPath is null || options.Driver == "copy")
            return [];
        var fileSystem = await StorageFacts.FileSystemOfAsync(StorageFacts.Existing(root), cancellationToken);
        var suits = options.Driver == "auto" ? fileSystem is "btrfs" or "xfs" : fileSystem == options.Driver;
        return suits ? [] : [$"branching.pool {root} is on {fileSystem}, where {(options.Driver == "auto" ? "branches are full copies" : $"the {options.Driver} driver cannot be used")}"];
    }

    static async Task<IReadOnlyList<string>> CheckZfsAsync(string dataset, CancellationToken cancellationToken)
    {
        if (dataset.Length == 0 || dataset.StartsWith('/'))
            return ["the zfs driver needs the name of a dataset in branching.pool, for example tank/tributary"];
        if (!StorageFacts.Has("zpool"))
            return ["the zfs driver needs the programs of ZFS, which are not installed (Debian: apt-get install zfsutils-linux)"];
        var pool = dataset.Split('/')[0];
        var health = await ChildProcesses.RunAsync(new ChildProcessSpec("zpool", ["list", "-H", "-o", "health", pool]), cancellationToken);
        if (!health.Succeeded)
            return [$"the ZFS pool {pool} is not there: {health.StandardError.Trim()} Import it (zpool import {pool}), or correct branching.pool"];
        return health.StandardOutput.Trim() is "ONLINE" ? [] : [$"the ZFS pool {pool} is {health.StandardOutput.Trim()}: see zpool status -v {pool}"];
    }
}
