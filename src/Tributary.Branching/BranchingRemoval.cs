using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using Tributary.Branching.Catalog;
using Tributary.Branching.Storage;
using Tributary.Postgres.Programs;

namespace Tributary.Branching;

/// <summary>
/// Takes back all that branching has made. The manager must be stopped. Every step can be repeated after a failure in the middle.
/// <list type="number">
/// <item>Drop the slot on production: left alone it would keep production's log until its disk is full.</item>
/// <item>Unmount the pool, and delete the volumes of one that has no image.</item>
/// <item>Remove the image, the catalog and the key.</item>
/// </list>
/// </summary>
public static class BranchingRemoval
{
    // What branching keeps in the state folder.
    static readonly string[] Folders = ["pool", MainComposition.RunFolder];

    static readonly string[] Files = [PoolImage.FileName, $"{PoolImage.FileName}.unfinished", PoolImage.MarkerName, BranchManager.KeyFile, $"{BranchManager.CatalogFile}-wal", $"{BranchManager.CatalogFile}-shm", BranchManager.CatalogFile];

    /// <summary>Whether anything in the folder has a name that branching uses.</summary>
    public static bool HasState(BranchingOptions options) =>
        Files.Concat(Folders).Any(name => Path.Exists(Path.Combine(options.StateDirectory, name)));

    /// <summary>Drops the slot if this state folder made it; answers whether there was one.</summary>
    public static async Task<BranchResult<SlotRemoval>> DropSlotAsync(BranchingOptions options, CancellationToken cancellationToken)
    {
        // Step 1: the slot.
        try
        {
            if (options.Following == FollowingMode.None || !MadeSlot(options))
                return new SlotRemoval(false);
            await using var source = options.OpenProduction("Timeout=10");
            await using var command = source.CreateCommand("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1");
            command.Parameters.AddWithValue(options.SlotName);
            await using var dropped = await command.ExecuteReaderAsync(cancellationToken);
            return new SlotRemoval(dropped.HasRows);
        }
        catch (BranchingException exception)
        {
            return exception.Error;
        }
        catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.ObjectInUse)
        {
            return new BranchError(BranchErrorKind.SourceUnsuitable, $"The slot '{options.SlotName}' on {options.Production} is in use: a standby still reads it. Stop that first.");
        }
        catch (Exception exception) when (exception is NpgsqlException or IOException or TimeoutException)
        {
            var reason = exception is PostgresException refused ? refused.MessageText : exception.InnerException?.Message ?? exception.Message;
            return new BranchError(BranchErrorKind.SourceUnsuitable, $"Cannot drop the slot '{options.SlotName}' on {options.Production}: {reason}");
        }
    }

    /// <summary>Removes pool, catalog and key; answers why not, or null.</summary>
    public static async Task<BranchError?> RemoveStateAsync(BranchingOptions options, CancellationToken cancellationToken)
    {
        try
        {
            // Step 2: the pool, which a server that has outlived its Tributary would keep in use.
            await StrayServers.EndAsync(Path.Combine(options.StateDirectory, MainComposition.RunFolder), TimeProvider.System, NullLogger.Instance, cancellationToken);
            if (options.Driver == "zfs")
            {
                if (options.PoolPath is { } dataset)
                    await ZfsDataset.RemoveAsync(dataset, options, cancellationToken);
            }
            else
            {
                await RemovePoolAsync(options, cancellationToken);
            }

            foreach (var folder in Folders.Select(name => Path.Combine(options.StateDirectory, name)).Where(Directory.Exists))
                await StorageCommand.RunAsync($"remove {folder}", "rm", ["-rf", "--one-file-system", folder], cancellationToken);

            // Step 3: the catalog last, since it says that the slot was ours.
            foreach (var aside in Directory.EnumerateFiles(options.StateDirectory, $"{BranchManager.CatalogFile}{CatalogRepair.SetAsideSuffix}*"))
                File.Delete(aside);
            foreach (var file in Files)
                File.Delete(Path.Combine(options.StateDirectory, file));
            return null;
        }
        catch (Exception exception) when (exception is StorageException or ChildProcessException or IOException or UnauthorizedAccessException)
        {
            return new BranchError(BranchErrorKind.StorageFailed, exception.Message);
        }
    }

    // A folder on a btrfs of the machine holds subvolumes, which only the driver can delete; all else are plain folders.
    static async Task RemovePoolAsync(BranchingOptions options, CancellationToken cancellationToken)
    {
        var root = Pool.RootOf(options);
        if (!Directory.Exists(root) || (options.PoolPath is not null && !Pool.IsOwnedBy(root, options.StateDirectory)))
            return;
        if (options.PoolPath is null && await StorageFacts.IsMountPointAsync(root, cancellationToken))
            await StorageCommand.RunAsync($"unmount {root}; end what still uses it (fuser -vm {root})", "umount", [root], cancellationToken);
        var subvolumes = new BtrfsDriver(root);
        IStorageDriver folders = new CopyDriver(root);
        foreach (var volume in Pool.VolumeFolders.SelectMany(subvolumes.List).Concat(Pool.SingleVolumes))
            await (await IsSubvolumeAsync(subvolumes.PathOf(volume), cancellationToken) ? subvolumes : folders).DeleteAsync(volume, cancellationToken);
        if (options.PoolPath is not null)
            Pool.Release(root);
    }

    /// <summary>Whether this state folder has begun to follow production; a slot of the name that another one made is not ours to drop.</summary>
    public static bool MadeSlot(BranchingOptions options)
    {
        var file = Path.Combine(options.StateDirectory, BranchManager.CatalogFile);
        if (!File.Exists(file))
            return false;
        using var catalog = BranchCatalog.Open(file);
        return catalog.Fact(MainKeeper.MainFact) is not null;
    }

    // The copy driver makes plain folders on a btrfs too; those are left to rm.
    static async Task<bool> IsSubvolumeAsync(string path, CancellationToken cancellationToken) =>
        Directory.Exists(path) && new DriveInfo(path).DriveFormat == "btrfs" && await SucceedsAsync("btrfs", ["subvolume", "show", path], cancellationToken);

    static async Task<bool> SucceedsAsync(string program, IReadOnlyList<string> arguments, CancellationToken cancellationToken) =>
        (await ChildProcesses.RunAsync(new ChildProcessSpec(program, arguments), cancellationToken)).Succeeded;
}

/// <param name="Dropped">There was a slot, and it is gone.</param>
public sealed record SlotRemoval(bool Dropped);
