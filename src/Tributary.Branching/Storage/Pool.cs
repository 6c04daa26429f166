namespace Tributary.Branching.Storage;

/// <summary>
/// The pool's folder, made ready for a driver: a place that the configuration names, or <c>STATE/pool</c>, which is used as it is when its file
/// system can fork, else gets an image file mounted on it (<see cref="PoolImage"/>), else (driver <c>copy</c>) stays a plain folder.
/// </summary>
internal sealed class Pool
{
    /// <summary>In a folder that the configuration names: the state folder that it belongs to.</summary>
    const string OwnerName = ".tributary-state";

    /// <summary>The folders that volumes lie in.</summary>
    public static readonly string[] VolumeFolders = ["seeds", "branches", Branch.BirthsFolder, BaseImage.Folder, CatalogRepair.KeptFolder];

    /// <summary>The volumes beside those folders.</summary>
    public static readonly string[] SingleVolumes = [MainKeeper.Volume, BaseImage.LogVolume];

    /// <summary>An image grows when less than a quarter of it is free: it is never made smaller, so not before it has to, and not so late that a branch is refused.</summary>
    const int GrowBelowPart = 4;

    PoolImage? _image;

    public required string Root { get; init; }

    public required IStorageDriver Driver { get; init; }

    /// <summary>Why the driver is not the better one, and what else is not as it should be; null when all is.</summary>
    public string? Warning { get; init; }

    /// <summary>Makes the pool ready.</summary>
    /// <exception cref="StorageException">It cannot be; the message says why and what to do.</exception>
    public static async Task<Pool> OpenAsync(BranchingOptions options, CancellationToken cancellationToken)
    {
        if (options.Driver == "zfs")
        {
            if (options.PoolPath is not { } dataset || dataset.StartsWith('/'))
                throw new StorageException("The zfs driver needs the name of a dataset in branching.pool, for example tank/tributary.");
            var mountPoint = await ZfsDataset.OpenAsync(dataset, options, cancellationToken);
            return new Pool { Root = mountPoint, Driver = new ZfsDriver(dataset, mountPoint) };
        }

        var root = RootOf(options);
        Directory.CreateDirectory(root);
        if (options.PoolPath is not null)
            await ClaimAsync(root, options.StateDirectory, cancellationToken);
        var pool = await OpenFolderAsync(options, root, cancellationToken);

        // Only root enters the pool by its path; each data directory belongs to the user that runs Postgres.
        foreach (var folder in VolumeFolders)
            Directory.CreateDirectory(Path.Combine(root, folder));
        return pool;
    }

    /// <summary>Whether it is an image of ours.</summary>
    public bool IsImage => _image is not null;

    /// <summary>What is held back in it (<see cref="PoolReserve"/>).</summary>
    public string ReserveFile => Path.Combine(Root, "reserve");

    /// <summary>Bytes used in the pool, without what is held back, the bytes it can hold, and those that are free.</summary>
    public (long Used, long Max, long Free) Space()
    {
        var drive = new DriveInfo(Root);
        var reserve = new FileInfo(ReserveFile);

        // The root of a dataset knows what is free for all, but of what is used only its own part.
        return Driver is ZfsDriver zfs
            ? (zfs.UsedBytes, zfs.UsedBytes + drive.AvailableFreeSpace, drive.AvailableFreeSpace)
            : (drive.TotalSize - drive.TotalFreeSpace - (reserve.Exists ? reserve.Length : 0), drive.TotalSize, drive.AvailableFreeSpace);
    }

    /// <summary>Bytes that are free, and that the image may still grow by.</summary>
    public async Task<long> RoomAsync(CancellationToken cancellationToken) => Space().Free + (_image is null ? 0 : await _image.GrowableAsync(cancellationToken));

    /// <summary>Makes the image larger when it fills up, the configuration allows it and the machine's disk has room; answers whether it did.</summary>
    public async Task<bool> GrowAsync(CancellationToken cancellationToken)
    {
        var (_, max, free) = Space();
        return _image is not null && free < max / GrowBelowPart && await _image.GrowAsync(Root, cancellationToken);
    }

    /// <summary>Unmounts the image; the data stays in it.</summary>
    public async Task CloseAsync()
    {
        (Driver as IDisposable)?.Dispose();
        if (_image is null)
            return;
        await _image.UnmountAsync(Root);
        _image = null;
    }

    /// <summary>The folder of a pool that is not ZFS.</summary>
    /// <exception cref="StorageException">The configuration does not name a folder.</exception>
    public static string RootOf(BranchingOptions options)
    {
        if (options.PoolPath is not { } path)
            return Path.Combine(options.StateDirectory, "pool");
        return path.StartsWith('/')
            ? Path.TrimEndingDirectorySeparator(path)
            : throw new StorageException($"branching.pool '{path}' is not an absolute path. For a ZFS dataset of that name, set branching.driver to zfs.");
    }

    /// <summary>Whether a folder that the configuration names holds the branches of this state folder.</summary>
    public static bool IsOwnedBy(string root, string stateDirectory) =>
        Path.Combine(root, OwnerName) is var file && File.Exists(file) && File.ReadAllText(file).Trim() == stateDirectory;

    /// <summary>Takes back what <see cref="OpenAsync"/> wrote into a folder that the configuration names; the folder itself may be a mount point and stays.</summary>
    public static void Release(string root)
    {
        File.Delete(Path.Combine(root, OwnerName));
        if (Directory.Exists(Path.Combine(root, CatalogRepair.RecordsFolder)))
            Directory.Delete(Path.Combine(root, CatalogRepair.RecordsFolder), recursive: true);
        foreach (var folder in VolumeFolders.Select(name => Path.Combine(root, name)))
        {
            if (Directory.Exists(folder) && !Directory.EnumerateFileSystemEntries(folder).Any())
                Directory.Delete(folder);
        }
    }

    static async Task<Pool> OpenFolderAsync(BranchingOptions options, string root, CancellationToken cancellationToken)
    {
        if (options.Driver == "copy")
            return new Pool { Root = root, Driver = new CopyDriver(root) };
        var wanted = options.Driver == "auto" ? "btrfs" : options.Driver;
        var found = await StorageFacts.FileSystemOfAsync(root, cancellationToken);
        var image = new PoolImage(options.StateDirectory, wanted, options.PoolBytesMax);
        var obstacle = await ObstacleAsync(options, wanted, root, found, image, cancellationToken);
        if (obstacle is null)
        {
            return new Pool
            {
                Root = root,
                Driver = wanted == "xfs" ? new XfsDriver(root) : new BtrfsDriver(root),
                Warning = image.Warnings.Count > 0 ? string.Join(' ', image.Warnings) : null,
                _image = image.IsMounted ? image : null,
            };
        }

        if (options.Driver != "auto")
            throw new StorageException($"The {wanted} driver cannot be used: {obstacle} Set branching.driver to auto or copy to go on without it.");
        return found == "xfs" && await StorageFacts.CanReflinkAsync(root, cancellationToken)
            ? new Pool { Root = root, Driver = new XfsDriver(root) }
            : new Pool { Root = root, Driver = new CopyDriver(root), Warning = $"Branches are full copies, since {obstacle}" };
    }

    // Answers null when the root is on the wanted file system after the call, else why it cannot be.
    static async Task<string?> ObstacleAsync(BranchingOptions options, string wanted, string root, string found, PoolImage image, CancellationToken cancellationToken)
    {
        if (!Environment.IsPrivilegedProcess)
            return "Tributary does not run as root, which mounting and deleting snapshots need (run it with sudo).";
        if (wanted == "btrfs" && !StorageFacts.Has("btrfs"))
            return "btrfs-progs is not installed (apt-get install btrfs-progs).";
        var suits = found == wanted && (wanted == "btrfs" || await StorageFacts.CanReflinkAsync(root, cancellationToken));
        var isImage = options.PoolPath is null && PoolImage.Exists(options.StateDirectory);
        if (suits && !isImage)
            return null;
        if (options.PoolPath is not null)
            return found == wanted ? $"the XFS of {root} was made without reflink (mkfs.xfs -m reflink=1)." : $"{root} is on {found}, not on {wanted} (branching.pool).";
        if (wanted == "xfs" && !StorageFacts.Has("mkfs.xfs"))
            return "xfsprogs is not installed (apt-get install xfsprogs).";
        if (!suits && await StorageFacts.IsMountPointAsync(root, cancellationToken))
            return $"{root} is mounted already, on {found} (umount {root}).";
        return await image.MountAsync(root, cancellationToken);
    }

    // Two state folders that share a pool would each delete the other's branches as leftovers.
    static async Task ClaimAsync(string root, string stateDirectory, CancellationToken cancellationToken)
    {
        var file = Path.Combine(root, OwnerName);
        if (!File.Exists(file))
            await File.WriteAllTextAsync(file, stateDirectory + "\n", cancellationToken);
        else if (!IsOwnedBy(root, stateDirectory))
            throw new StorageException($"The folder {root} holds the branches of another state folder, which {file} names. Give branching.pool another folder; if that one is gone for good, delete the file.");
    }
}
