using System.Globalization;
using Tributary.Postgres.Programs;

namespace Tributary.Branching.Storage;

/// <summary>
/// Volumes are datasets below one of the machine's; a clone is a dataset over a snapshot, which is atomic and shares every block.
/// <para>
/// Every snapshot is made for one clone, is named after it, and is marked for deferred destruction at once: ZFS drops it together with its clone.
/// A volume that others were cloned from is deleted by promoting one of them, which then owns what both share.
/// </para>
/// ZFS forbids writes to a frozen volume; zfs-fuse 0.7 forbids only new and shortened files, which is no matter, since nothing is started on one.
/// Changes are made one at a time, since a promotion moves snapshots between datasets.
/// Source: https://openzfs.github.io/openzfs-docs/man/master/8/zfs-promote.8.html
/// </summary>
/// <param name="dataset">The dataset that holds all volumes, for example <c>tank/tributary</c>.</param>
/// <param name="root">Where it is mounted; the volumes' datasets are mounted below by inheritance.</param>
internal sealed class ZfsDriver(string dataset, string root) : IStorageDriver, IDisposable
{
    readonly SemaphoreSlim _changes = new(1);
    long _usedBytes;

    public string Name => "zfs";

    public bool ClonesAreAtomic => true;

    public bool ClonesShareBytes => true;

    /// <summary>What all volumes take together, as of the last measurement.</summary>
    public long UsedBytes => Interlocked.Read(ref _usedBytes);

    public string PathOf(string volume) => Path.Combine(root, volume);

    public async Task CreateAsync(string volume, CancellationToken cancellationToken)
    {
        await DeleteAsync(volume, cancellationToken);
        await ZfsCommand.RunAsync($"make the volume {volume}", ["create", DatasetOf(volume)], cancellationToken);
        PostgresUser.Own(PathOf(volume));
        File.SetUnixFileMode(PathOf(volume), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    public Task CompressAsync(string volume, CancellationToken cancellationToken) =>
        ZfsCommand.RunAsync($"turn on the compression of {volume}", ["set", "compression=on", DatasetOf(volume)], cancellationToken);

    public async Task CloneAsync(string source, string copy, CancellationToken cancellationToken)
    {
        await _changes.WaitAsync(cancellationToken);
        try
        {
            await DestroyAsync(copy, cancellationToken);
            var snapshot = $"{DatasetOf(source)}@{copy.Replace('/', '-')}";
            await SnapshotAsync($"clone {source} to {copy}", snapshot, cancellationToken);
            try
            {
                await ZfsCommand.RunAsync($"clone {source} to {copy}", ["clone", snapshot, DatasetOf(copy)], cancellationToken);
            }
            finally
            {
                // With the clone made this only marks the snapshot; without it the snapshot goes at once.
                await ZfsCommand.TryAsync(["destroy", "-d", snapshot], CancellationToken.None);
            }
        }
        finally
        {
            _changes.Release();
        }
    }

    public Task FreezeAsync(string volume, CancellationToken cancellationToken) =>
        ZfsCommand.RunAsync($"freeze {volume}", ["set", "readonly=on", DatasetOf(volume)], cancellationToken);

    public async Task DeleteAsync(string volume, CancellationToken cancellationToken)
    {
        await _changes.WaitAsync(cancellationToken);
        try
        {
            await DestroyAsync(volume, cancellationToken);
        }
        finally
        {
            _changes.Release();
        }
    }

    public void Dispose() => _changes.Dispose();

    public IReadOnlyList<string> List(string folder) => StorageCommand.ListFolder(root, folder);

    /// <summary>ZFS counts what a transaction group has written, so that the figures are some seconds old.</summary>
    public async Task<IReadOnlyDictionary<string, BranchUsage>> MeasureAsync(IReadOnlyList<string> volumes, CancellationToken cancellationToken)
    {
        var listed = await ZfsCommand.TryAsync(["get", "-r", "-H", "-p", "-o", "name,property,value", "used,usedbydataset,referenced", dataset], cancellationToken);
        var bytes = new Dictionary<(string Dataset, string Property), long>();
        foreach (var line in listed.EnsureSucceeded($"zfs get {dataset}").StandardOutput.Split('\n'))
        {
            if (line.Split('\t') is [var name, var property, var value] && long.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var number))
                bytes[(name, property)] = number;
        }

        Interlocked.Exchange(ref _usedBytes, bytes.GetValueOrDefault((dataset, "used")));
        return volumes.Where(volume => bytes.ContainsKey((DatasetOf(volume), "referenced"))).ToDictionary(
            volume => volume, volume => new BranchUsage(bytes[(DatasetOf(volume), "usedbydataset")], bytes[(DatasetOf(volume), "referenced")]));
    }

    string DatasetOf(string volume) => $"{dataset}/{volume}";

    // A snapshot of that name is what a crash has left between it and its clone.
    static async Task SnapshotAsync(string what, string snapshot, CancellationToken cancellationToken)
    {
        var made = await ZfsCommand.TryAsync(["snapshot", snapshot], cancellationToken);
        if (made.Succeeded)
            return;
        if (made.StandardError.Contains("already exists", StringComparison.Ordinal))
            await ZfsCommand.RunAsync(what, ["destroy", "-d", snapshot], cancellationToken);
        await ZfsCommand.RunAsync(what, ["snapshot", snapshot], cancellationToken);
    }

    // Each promotion takes at least one snapshot away from the volume, so that the loop ends.
    async Task DestroyAsync(string volume, CancellationToken cancellationToken)
    {
        while (true)
        {
            var destroyed = await ZfsCommand.TryAsync(["destroy", "-r", DatasetOf(volume)], cancellationToken);
            if (destroyed.Succeeded || destroyed.StandardError.Contains("does not exist", StringComparison.Ordinal))
                break;
            if (!destroyed.StandardError.Contains("dependent clones", StringComparison.Ordinal) || await NewestCloneAsync(volume, cancellationToken) is not { } clone)
                throw new StorageException($"Cannot delete {volume}: {destroyed.StandardError.Trim()}");
            await ZfsCommand.RunAsync($"delete {volume}, which {clone} was cloned from", ["promote", clone], cancellationToken);
        }

        // zfs-fuse leaves the folder that the dataset was mounted on.
        if (Directory.Exists(PathOf(volume)))
            await StorageCommand.RunAsync($"delete the folder of {volume}", "rmdir", [PathOf(volume)], cancellationToken);
    }

    // The clone of the newest snapshot takes all older snapshots with it, so that mostly one promotion is enough.
    async Task<string?> NewestCloneAsync(string volume, CancellationToken cancellationToken)
    {
        var snapshots = await LinesAsync(["list", "-H", "-o", "name", "-t", "snapshot", "-s", "creation", "-r", DatasetOf(volume)], cancellationToken);
        var clones = (await LinesAsync(["list", "-H", "-o", "origin,name", "-t", "filesystem", "-r", dataset], cancellationToken))
            .Select(line => line.Split('\t')).Where(fields => fields is [_, _]).ToLookup(fields => fields[0], fields => fields[1]);
        return snapshots.Reverse().SelectMany(snapshot => clones[snapshot]).FirstOrDefault();
    }

    static async Task<IReadOnlyList<string>> LinesAsync(IReadOnlyList<string> arguments, CancellationToken cancellationToken)
    {
        var result = await ZfsCommand.TryAsync(arguments, cancellationToken);
        return result.StandardOutput.Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }
}
