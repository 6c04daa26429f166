using Microsoft.Extensions.Logging;
using Tributary.Branching.Archiving;
using Tributary.Branching.Catalog;
using Tributary.Branching.Compute;
using Tributary.Branching.Following;
using Tributary.Branching.Seeding;
using Tributary.Branching.Storage;
using Tributary.Postgres.Programs;

namespace Tributary.Branching;

/// <summary>Puts main together, by how it comes to its data, with all that is made of it.</summary>
internal static class MainComposition
{
    /// <summary>In the state folder; holds a folder a server.</summary>
    public const string RunFolder = "run";

    /// <param name="isBirth">Whether a branch began as this volume, which is kept then.</param>
    public static MainKeeper Compose(
        BranchingOptions options, SourceFacts facts, IMainFeed? feed, Pool pool, BranchCatalog catalog, Func<string, bool> isBirth, TimeProvider time, ILogger logger,
        out IPostgresLauncher launcher, out string runDirectory)
    {
        runDirectory = Path.Combine(options.StateDirectory, RunFolder);
        Directory.CreateDirectory(runDirectory);
        var installation = PostgresInstallation.Find(facts.Major);
        launcher = new PostgresLauncher(installation, runDirectory, ControlGroups.Open(options.StateDirectory, ControlGroups.MachineRoot, logger), time, logger);
        var server = new MainServer(options, facts.Superuser, pool.Driver, launcher, runDirectory, time, logger);
        IMain main = options.Following switch
        {
            FollowingMode.None => new OwnMain(installation, options, server, time, logger),
            FollowingMode.Logical => new LogicalFollower(
                installation, options, facts, server, feed ?? throw new InvalidOperationException("A main that is streamed into needs a feed."), time, logger),
            _ => new PhysicalFollower(options, facts, pool.Driver, new BaseBackup(installation, options, new BackupRoom(options, pool.RoomAsync, time)), server, time, logger),
        };
        var socketFile = Path.Combine(server.SocketDirectory, LaunchSpec.SocketFile);
        var seedMaker = new SeedMaker(options, facts, main, pool.Driver, launcher, time, logger);
        var shelf = new SeedShelf(options, pool.Driver, catalog, isBirth, time, logger);
        var seeds = new MainSeeds(main, shelf, seedMaker);
        var spareMaker = new SpareMaker(
            options, facts, main, pool.Driver, launcher, runDirectory, socketFile, () => BranchComputes.SettingsOf(options, facts.RequiredSettings, "spare", BranchPolicy.Default),
            BranchComputes.LimitsOf(options), time);
        var spares = new SpareKeeper(options, spareMaker, catalog.NextNumber, time, logger);
        var cuts = new NowCuts(options, main, shelf, seedMaker, seeds, spares, new SpareSettling(pool.Driver, shelf, time, logger), () => pool.Space().Free, time, logger);
        var archive = new ArchiveKeeper(
            options, pool.Driver,
            new LogArchive(installation, pool.Driver, server.SocketDirectory, facts.Superuser, Path.Combine(runDirectory, "archive.log"), time, logger),
            new BaseShelf(pool.Driver, catalog.Bases(), catalog.AddBase, catalog.RemoveBase, logger),
            main.PositionAsync, main.CloneAsync, time, logger);
        var past = new PastCuts(options, archive, new PointMaker(options, facts, pool.Driver, launcher, time), main, time);
        var import = main is not OwnMain own ? null : new MainImport(own, seeds, () => pool.Space().Free, token => PoolFlush.FlushAsync(pool.Root, token), time, logger);
        return new MainKeeper(options, catalog, main, seeds, shelf, spares, archive, cuts, past, import, time, logger);
    }
}
