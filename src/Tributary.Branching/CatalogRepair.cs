using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using Tributary.Branching.Catalog;
using Tributary.Branching.Storage;

namespace Tributary.Branching;

/// <summary>
/// Rebuilds a lost or damaged catalog from the records in the pool. The manager must be stopped. Every step can be repeated after a failure
/// in the middle, and no volume is deleted.
/// <list type="number">
/// <item>End what a killed server has left running on the pool, and open the pool.</item>
/// <item>A catalog that is whole and knows all that the pool does is left as it is.</item>
/// <item>Take each record whose volume is there.</item>
/// <item>Write a new catalog beside the old one, whose numbers go on above every number ever seen.</item>
/// <item>Move volumes that no record tells of to where the next start does not look.</item>
/// <item>Set the old catalog aside and put the new one in its place.</item>
/// </list>
/// </summary>
public static class CatalogRepair
{
    internal const string KeptFolder = "kept";

    /// <summary>Follows the catalog's name in that of a damaged one, before a number.</summary>
    internal const string SetAsideSuffix = ".damaged-";

    /// <summary>The folder of the catalog's records in the pool.</summary>
    internal const string RecordsFolder = "records";

    /// <summary>
    /// What a power loss may have taken of the records is what was given within the last half minute; a password is derived from the id,
    /// so one given twice would be shared. No machine gives this many in that time.
    /// </summary>
    const long NumbersSkipped = 1000;

    public static async Task<BranchResult<CatalogRepairReport>> RunAsync(BranchingOptions options, TimeProvider time, CancellationToken cancellationToken)
    {
        try
        {
            if (!PoolLeftovers.HasPool(options))
                return new BranchError(BranchErrorKind.NotFound, $"There is no pool in {options.PoolPath ?? options.StateDirectory}, so there is nothing to rebuild a catalog from.");

            // Step 1: the pool.
            var ended = await PoolLeftovers.EndProcessesAsync(options, time, cancellationToken);
            var report = await OpenAndRebuildAsync(options, cancellationToken);
            return report with { Ended = [.. ended, .. await PoolLeftovers.DetachAsync(options.StateDirectory, cancellationToken)] };
        }
        catch (Exception exception) when (Obstacle.Is(exception))
        {
            return (exception as BranchingException)?.Error ?? new BranchError(BranchErrorKind.StorageFailed, exception.Message);
        }
    }

    static async Task<CatalogRepairReport> OpenAndRebuildAsync(BranchingOptions options, CancellationToken cancellationToken)
    {
        var pool = await Pool.OpenAsync(options, cancellationToken);
        try
        {
            return pool.Driver is CopyDriver && PoolImage.Exists(options.StateDirectory)
                ? throw new StorageException($"The pool's image cannot be mounted, so its records cannot be read. {pool.Warning}")
                : await RebuildAsync(options, pool.Driver, cancellationToken);
        }
        finally
        {
            await pool.CloseAsync();
        }
    }

    static async Task<CatalogRepairReport> RebuildAsync(BranchingOptions options, IStorageDriver storage, CancellationToken cancellationToken)
    {
        var file = Path.Combine(options.StateDirectory, BranchManager.CatalogFile);
        var records = new CatalogRecords(storage.PathOf(CatalogRecords.Folder), NullLogger.Instance);

        // Step 2: a whole one stays.
        if (IsWhole(file, records))
            return new CatalogRepairReport(Rebuilt: false, null, [], 0, [], [], []);

        // Step 3: the records.
        var (contents, unreadable) = records.Read();
        var leftOut = unreadable.Select(name => new LeftOut($"{CatalogRecords.Folder}/{name}", "the record cannot be read")).ToList();
        var taken = Take(contents, storage, leftOut);
        if (!File.Exists(Path.Combine(options.StateDirectory, BranchManager.KeyFile)))
            leftOut.Add(new LeftOut(BranchManager.KeyFile, "it is missing, and the next start makes another: every branch gets a new password"));
        var sequence = HighestNumber(options, storage, contents) + NumbersSkipped;

        // Step 4: the new catalog.
        var unfinished = file + ".unfinished";
        foreach (var suffix in CatalogSuffixes)
            File.Delete(unfinished + suffix);
        BranchCatalog.Write(unfinished, taken with { Facts = new FactsRow(FactsOf(options, contents, storage, leftOut), sequence) });

        // Step 5: volumes without a record.
        var kept = await KeepAsync(storage, taken, cancellationToken);

        // Step 6: exchange.
        var aside = SetAside(file);
        File.Move(unfinished, file);
        return new CatalogRepairReport(
            Rebuilt: true, aside, [.. taken.Branches.Where(row => row.State == nameof(BranchState.Ready)).OrderBy(row => row.Id).Select(row => row.Name)],
            taken.Seeds.Count, leftOut, kept, []);
    }

    static readonly string[] CatalogSuffixes = ["", "-wal", "-shm", "-journal"];

    static bool IsWhole(string file, CatalogRecords records)
    {
        if (!File.Exists(file))
            return false;
        try
        {
            using var catalog = BranchCatalog.Open(file);
            return catalog.WhyNot(records) is null;
        }
        catch (BranchingException)
        {
            return false;
        }
    }

    // One that is half made or half gone is taken whatever it has: the next start finishes it.
    static CatalogContents Take(CatalogContents contents, IStorageDriver storage, List<LeftOut> leftOut)
    {
        var branches = new List<BranchRow>();
        foreach (var row in contents.Branches)
        {
            var branch = row.ToBranch();
            var volume = Branch.VolumeOf(branch.Number);
            if (branch.State is BranchState.Creating or BranchState.Deleting || Directory.Exists(storage.PathOf(volume)))
                branches.Add(row);
            else
                leftOut.Add(new LeftOut($"branch {branch.Name}", $"its volume {volume} is missing"));
        }

        var seeds = contents.Seeds.ToLookup(seed => Directory.Exists(storage.PathOf(Seeding.SeedMaker.VolumeOf(seed.Id))));
        leftOut.AddRange(seeds[false].Select(seed => new LeftOut($"seed {seed.Id}", "its volume is missing")));
        var bases = contents.Bases.ToLookup(image => Directory.Exists(storage.PathOf(image.ToBase().Volume)));
        leftOut.AddRange(bases[false].Select(image => new LeftOut($"base image {image.Id}", "its volume is missing")));
        return contents with { Bases = [.. bases[true]], Branches = branches, Seeds = [.. seeds[true]] };
    }

    // Without its facts main may be a half copy, so production is copied anew over it, with the slot that the copy before had.
    static IReadOnlyDictionary<string, string> FactsOf(BranchingOptions options, CatalogContents contents, IStorageDriver storage, List<LeftOut> leftOut)
    {
        if (contents.Facts.Facts.ContainsKey(MainKeeper.MainFact) || !Directory.Exists(storage.PathOf(MainKeeper.Volume)))
            return contents.Facts.Facts;
        // A main that follows nothing has the only copy of its data, so it is never made anew over what is there.
        if (options.Following == FollowingMode.None)
            return new Dictionary<string, string>(contents.Facts.Facts) { [MainKeeper.MainFact] = MainKeeper.Following };
        leftOut.Add(new LeftOut("main", "no record says how far it came; the next start copies production anew, and branches are not touched by that"));
        return new Dictionary<string, string>(contents.Facts.Facts) { [MainKeeper.MainFact] = MainKeeper.Copying };
    }

    static long HighestNumber(BranchingOptions options, IStorageDriver storage, CatalogContents contents)
    {
        var run = Path.Combine(options.StateDirectory, "run");
        var folders = storage.List("branches").Concat(storage.List(Branch.BirthsFolder)).Concat(storage.List(KeptFolder))
            .Concat(Directory.Exists(run) ? Directory.EnumerateDirectories(run) : []);
        var numbers = folders.Select(folder => folder[(folder.LastIndexOfAny(['/', '-']) + 1)..])
            .Select(name => name is ['b', .. var digits] && long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : 0);
        return numbers.Concat(contents.Branches.SelectMany(row => new[] { row.Id, row.ToBranch().Number })).Append(contents.Facts.Sequence).Max();
    }

    // A volume that waits for its promotion is a spare, which nobody has written to; the next start makes another.
    static async Task<IReadOnlyList<string>> KeepAsync(IStorageDriver storage, CatalogContents taken, CancellationToken cancellationToken)
    {
        var branches = taken.Branches.Select(row => row.ToBranch()).ToList();
        var known = branches.SelectMany(branch => new[] { Branch.VolumeOf(branch.Number), branch.Birth })
            .Concat(taken.Seeds.Select(seed => Seeding.SeedMaker.VolumeOf(seed.Id))).Concat(taken.Bases.Select(image => image.ToBase().Volume)).ToHashSet(StringComparer.Ordinal);
        var kept = new List<string>();
        foreach (var volume in Pool.VolumeFolders.Where(folder => folder != KeptFolder).SelectMany(storage.List).Where(volume => !known.Contains(volume)))
        {
            if (!volume.StartsWith(BaseImage.Folder, StringComparison.Ordinal) && File.Exists(Path.Combine(storage.PathOf(volume), "standby.signal")))
                continue;
            var aside = $"{KeptFolder}/{volume.Replace('/', '-')}";
            // A frozen subvolume cannot change its folder (btrfs refuses every write to it), but can be cloned.
            if (storage.ClonesAreAtomic)
            {
                await storage.CloneAsync(volume, aside, cancellationToken);
                await storage.DeleteAsync(volume, cancellationToken);
            }
            else
            {
                Directory.CreateDirectory(storage.PathOf(KeptFolder));
                Directory.Move(storage.PathOf(volume), storage.PathOf(aside));
            }

            kept.Add(storage.PathOf(aside));
        }

        return kept;
    }

    static string? SetAside(string file)
    {
        if (!File.Exists(file))
            return null;
        var number = 1;
        while (File.Exists($"{file}{SetAsideSuffix}{number}"))
            number++;
        // The log files go first: beside a new catalog SQLite would take them for its own.
        foreach (var suffix in CatalogSuffixes.Reverse().Where(suffix => File.Exists(file + suffix)))
            File.Move(file + suffix, $"{file}{SetAsideSuffix}{number}{suffix}");
        return $"{file}{SetAsideSuffix}{number}";
    }
}
