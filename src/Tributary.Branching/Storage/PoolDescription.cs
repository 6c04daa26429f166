using System.Globalization;

namespace Tributary.Branching.Storage;

/// <summary>What the pool is, or will be from the first start on, in words for a doctor: the driver, the place, what it takes and how far it can grow.</summary>
internal static class PoolDescription
{
    const string FullCopies = "copy: branches are full copies";

    /// <summary>One line. Nothing is made, mounted or changed.</summary>
    /// <exception cref="StorageException">The configuration's place for the pool makes no sense, or its file system does not answer.</exception>
    public static async Task<string> OfAsync(BranchingOptions options, CancellationToken cancellationToken)
    {
        if (options.Driver == "zfs")
            return await OfZfsAsync(options.PoolPath ?? "", cancellationToken);
        var root = Pool.RootOf(options);
        if (options.Driver == "copy")
            return $"{FullCopies} in {root}; {Use(root)}";
        if (options.PoolPath is null && PoolImage.Exists(options.StateDirectory))
            return await OfImageAsync(options, root, cancellationToken);
        var found = await StorageFacts.FileSystemOfAsync(StorageFacts.Existing(root), cancellationToken);
        if (found == options.Driver || (options.Driver == "auto" && found is "btrfs" or "xfs"))
            return $"{found} in the folder {root}; {Use(root)}";
        var wanted = options.Driver == "auto" ? "btrfs" : options.Driver;
        return options.PoolPath is null && Environment.IsPrivilegedProcess && StorageFacts.Has($"mkfs.{wanted}") && File.Exists("/dev/loop-control")
            ? $"{wanted} in an image that the first start makes: {await GrowthAsync(options, 0, cancellationToken)}"
            : $"{FullCopies} in {root}; {Use(root)}";
    }

    static async Task<string> OfImageAsync(BranchingOptions options, string root, CancellationToken cancellationToken)
    {
        var image = Path.Combine(options.StateDirectory, PoolImage.FileName);
        var mounted = await StorageFacts.IsMountPointAsync(root, cancellationToken);
        var type = await StorageFacts.FileSystemInAsync(image, cancellationToken);
        return $"{type} in the image {image}; {(mounted ? Use(root) : "not mounted")}; {await GrowthAsync(options, new FileInfo(image).Length, cancellationToken)}";
    }

    // The limit is the configuration's, unless the disk of the image is nearer.
    static async Task<string> GrowthAsync(BranchingOptions options, long bytes, CancellationToken cancellationToken)
    {
        if (bytes >= options.PoolBytesMax)
            return $"{Size(bytes)} large, which is all that branching.pool-size allows";
        var allowed = await ImageSize.AllowedAsync(Path.Combine(StorageFacts.Existing(options.StateDirectory), PoolImage.FileName), options.PoolBytesMax, cancellationToken);
        var limit = allowed < options.PoolBytesMax ? $"what its disk has room for, of {Size(options.PoolBytesMax)} (branching.pool-size)" : "branching.pool-size";
        return allowed > bytes ? $"{(bytes == 0 ? "up to" : "can grow to")} {Size(allowed)}, {limit}" : $"{Size(bytes)} large; its disk has no room for more";
    }

    static async Task<string> OfZfsAsync(string dataset, CancellationToken cancellationToken)
    {
        if (await ZfsDataset.PropertyAsync("used", dataset, cancellationToken) is not { } used)
            return $"zfs in the dataset {dataset}, which the first start makes";
        var available = await ZfsDataset.PropertyAsync("available", dataset, cancellationToken);
        return $"zfs in the dataset {dataset}; {Size(Number(used))} used, {Size(Number(available))} free";
    }

    static string Use(string root)
    {
        var drive = new DriveInfo(StorageFacts.Existing(root));
        return $"{Size(drive.TotalSize - drive.TotalFreeSpace)} used, {Size(drive.AvailableFreeSpace)} free";
    }

    static long Number(string? text) => long.TryParse(text, CultureInfo.InvariantCulture, out var number) ? number : 0;

    static string Size(long bytes) => bytes >= 1L << 30 ? $"{(double)bytes / (1L << 30):0.0} GiB" : $"{bytes >> 20} MiB";
}
