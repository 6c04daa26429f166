namespace Tributary.Branching.Storage;

/// <summary>The dataset that holds the volumes of one state folder: made or taken over, mounted, and rid of what a crash has left.</summary>
internal static class ZfsDataset
{
    /// <summary>The state folder that a dataset belongs to; two that share one would delete each other's branches.</summary>
    const string OwnerProperty = "tributary:state";

    // Postgres writes pages of 8 KiB: with larger records each would be read, completed and written anew, and a clone would own all of a record for one page.
    static readonly string[] Properties = ["recordsize=8k", "atime=off", "devices=off", "setuid=off", "exec=off"];

    /// <summary>Makes the dataset ready; answers where it is mounted.</summary>
    /// <exception cref="StorageException">It cannot be; the message says why and what to do.</exception>
    public static async Task<string> OpenAsync(string dataset, BranchingOptions options, CancellationToken cancellationToken)
    {
        if (!StorageFacts.Has("zfs"))
            throw new StorageException("The zfs driver needs the program zfs, which is not installed (Debian: apt-get install zfsutils-linux).");
        var mountPoint = Path.Combine(options.StateDirectory, "pool");
        if (await PropertyAsync("mountpoint", dataset, cancellationToken) is not { } found)
        {
            Directory.CreateDirectory(mountPoint);
            await ZfsCommand.RunAsync(
                $"make the dataset {dataset} (branching.pool names one in an imported ZFS pool)",
                ["create", "-p", .. Options([$"mountpoint={mountPoint}", $"{OwnerProperty}={options.StateDirectory}", .. Properties]), dataset], cancellationToken);
        }
        else
        {
            var owner = await PropertyAsync(OwnerProperty, dataset, cancellationToken);
            if (owner is not (null or "-") && owner != options.StateDirectory)
                throw new StorageException($"The dataset {dataset} belongs to the state folder {owner}. Give branching.pool another dataset; if that folder is gone for good: zfs inherit {OwnerProperty} {dataset}");
            if (found.StartsWith('/'))
                mountPoint = found;
            else
                await SetAsync(dataset, $"mountpoint={mountPoint}", cancellationToken);
            foreach (var property in Properties.Append($"{OwnerProperty}={options.StateDirectory}"))
                await SetAsync(dataset, property, cancellationToken);
        }

        foreach (var folder in Pool.VolumeFolders)
            await ZfsCommand.RunAsync($"make the dataset {dataset}/{folder}", ["create", "-p", $"{dataset}/{folder}"], cancellationToken);
        await SweepAsync(dataset, cancellationToken);
        return mountPoint;
    }

    /// <summary>Removes the volumes, and the dataset too if nothing else is in it.</summary>
    public static async Task RemoveAsync(string dataset, BranchingOptions options, CancellationToken cancellationToken)
    {
        if (!StorageFacts.Has("zfs") || await PropertyAsync(OwnerProperty, dataset, cancellationToken) != options.StateDirectory)
            return;
        foreach (var child in Pool.VolumeFolders.Concat(Pool.SingleVolumes))
        {
            // -R takes the clones of a volume's snapshots along, which are all volumes of this dataset.
            if (await PropertyAsync("type", $"{dataset}/{child}", cancellationToken) is not null)
                await ZfsCommand.RunAsync($"remove {dataset}/{child}", ["destroy", "-R", $"{dataset}/{child}"], cancellationToken);
        }

        // A dataset that holds more than ours stays, and then belongs to nobody.
        var removed = await ZfsCommand.TryAsync(["destroy", dataset], cancellationToken);
        if (!removed.Succeeded)
            await ZfsCommand.RunAsync($"give back {dataset}", ["inherit", OwnerProperty, dataset], cancellationToken);
    }

    /// <summary>A property's value; null when there is no such dataset.</summary>
    /// <exception cref="StorageException">ZFS does not answer.</exception>
    public static async Task<string?> PropertyAsync(string property, string dataset, CancellationToken cancellationToken)
    {
        var shown = await ZfsCommand.TryAsync(["get", "-H", "-p", "-o", "value", property, dataset], cancellationToken);
        if (shown.Succeeded)
            return shown.StandardOutput.Trim();
        if (shown.StandardError.Contains("does not exist", StringComparison.Ordinal))
            return null;
        throw new StorageException($"ZFS does not answer about {dataset}: {shown.StandardError.Trim()} Load its kernel module (modprobe zfs), or correct branching.pool.");
    }

    // After a crash a clone may not be mounted, and a snapshot not be marked for destruction; both are mended before anybody lists volumes.
    static async Task SweepAsync(string dataset, CancellationToken cancellationToken)
    {
        var listed = await ZfsCommand.TryAsync(["list", "-r", "-H", "-o", "name,mounted,defer_destroy", "-t", "filesystem,snapshot", dataset], cancellationToken);
        foreach (var line in listed.EnsureSucceeded($"zfs list {dataset}").StandardOutput.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            if (line.Split('\t') is not [var name, var mounted, var deferred])
                continue;
            if (name.Contains('@', StringComparison.Ordinal))
            {
                // A user's own snapshot of the dataset itself is left alone.
                if (deferred != "on" && !name.StartsWith($"{dataset}@", StringComparison.Ordinal))
                    await ZfsCommand.RunAsync($"remove the snapshot {name}", ["destroy", "-d", name], cancellationToken);
            }
            else if (mounted == "no")
            {
                await ZfsCommand.RunAsync($"mount {name}", ["mount", name], cancellationToken);
            }
        }
    }

    static Task SetAsync(string dataset, string property, CancellationToken cancellationToken) =>
        ZfsCommand.RunAsync($"set {property} of {dataset}", ["set", property, dataset], cancellationToken);

    static IEnumerable<string> Options(IEnumerable<string> properties) => properties.SelectMany(property => new[] { "-o", property });
}
