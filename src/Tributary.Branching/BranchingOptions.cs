using Npgsql;
using Tributary.Postgres;

namespace Tributary.Branching;

/// <summary>How branches are kept.</summary>
public sealed record BranchingOptions
{
    /// <summary>The folder for the pool's image, the catalog and the key; made when it is missing.</summary>
    public required string StateDirectory { get; init; }

    /// <summary>How main comes to its data. Default <see cref="FollowingMode.Physical"/>.</summary>
    public FollowingMode Following { get; init; }

    /// <summary>
    /// Production; null when main follows nothing. Its role needs REPLICATION, and <c>pg_read_all_settings</c> is enough beside it.
    /// </summary>
    public PostgresUrl? Source { get; init; }

    /// <summary>
    /// The database of a main that follows nothing: it is made empty, and dumps are imported into it unless they name another. Default
    /// <c>app</c>.
    /// </summary>
    public string OwnDatabase { get; init; } = "app";

    /// <summary>
    /// The major version of a main that is no standby; it never changes. Null, the default, for one that follows production is production's
    /// version, or the newest here without that; for one that follows nothing the newest that the machine's packages have installed. Main's first
    /// start decides.
    /// </summary>
    public int? OwnMajor { get; init; }

    /// <summary>
    /// <c>btrfs</c>, <c>xfs</c>, <c>zfs</c>, <c>copy</c>, or <c>auto</c>: btrfs where it can be mounted, else xfs where the pool's folder is on one with
    /// reflink, else copy. Default <c>auto</c>.
    /// </summary>
    public string Driver { get; init; } = "auto";

    /// <summary>
    /// Where the pool is: a folder on a file system of the driver, or for <c>zfs</c> a dataset such as <c>tank/tributary</c>. Default null: the folder
    /// <c>pool</c> below the state folder, with an image file where its file system cannot fork.
    /// </summary>
    public string? PoolPath { get; init; }

    /// <summary>
    /// What the pool's image file may grow to, in bytes. It is made and grown within what its disk has free, and is sparse, so that this is a limit
    /// and not a use. Default 64 GiB.
    /// </summary>
    public long PoolBytesMax { get; init; } = 64L << 30;

    /// <summary>The slot on production that keeps the log for main. Default <c>tributary_main</c>.</summary>
    public string SlotName { get; init; } = "tributary_main";

    /// <summary>
    /// How much log production may keep for main, in bytes; beyond it the slot is given up and main is copied anew. It guards production while
    /// this program runs; max_slot_wal_keep_size at production guards it always. Default 16 GiB.
    /// </summary>
    public long SlotBytesMax { get; init; } = 16L << 30;

    /// <summary>
    /// A new seed is made when main has moved and the newest seed is older than this. Each costs a replay of production's log since its last
    /// checkpoint, and branches as of now need none, so seeds need not be young. Default 60 s.
    /// </summary>
    public TimeSpan SeedInterval { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Seeds that are kept for new branches; a seed costs what changed since the one before. Default 2.</summary>
    public int SeedsKept { get; init; } = 2;

    /// <summary>
    /// Spares that are kept ready for branches as of now: each is a running Postgres that replays what production writes, at the cost of a
    /// branch's shared buffers and of main's replay once more. 0 keeps none, and a branch as of now then costs a recovery. Default 1.
    /// </summary>
    public int SparesKept { get; init; } = 1;

    /// <summary>How long a request for a branch as of now may wait for its position, or for a spare that is being made. Default 30 s.</summary>
    public TimeSpan NowTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long a spare may take to replay what its clone has in its log: production's log since its last checkpoint. 10 min.</summary>
    public TimeSpan SpareStartTimeout { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>
    /// How long a request for the present waits for others to share its cut: requests of one burst arrive within milliseconds of each other,
    /// and the first alone would take the only spare. 5 ms.
    /// </summary>
    public TimeSpan NowGatherTime { get; init; } = TimeSpan.FromMilliseconds(5);

    /// <summary>
    /// How far back a branch can be of the past: production's log of this time and an image of main now and then are kept. 0 keeps none.
    /// Default 1 h: the deployment that went wrong a moment ago.
    /// </summary>
    public TimeSpan WalRetention { get; init; } = TimeSpan.FromHours(1);

    /// <summary>Bytes of archived log, beyond which the oldest is given up before its time. Default 4 GiB: an hour at one megabyte a second.</summary>
    public long ArchiveBytesMax { get; init; } = 4L << 30;

    /// <summary>A branch without connections for this long is stopped. Default 60 s.</summary>
    public TimeSpan IdleTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Branches at once. Default 1,000: what one directory and one catalog page list in a blink.</summary>
    public int BranchesMax { get; init; } = 1000;

    /// <summary>Branches of one owner at once; null, the default, is no limit of its own.</summary>
    public int? BranchesPerOwnerMax { get; init; }

    /// <summary>
    /// What one branch may take in the pool by itself, in bytes, measured every few seconds while it runs; beyond it the branch is stopped and
    /// refuses clients until it is reset or the limit is raised. Null, the default, is no limit but the pool's.
    /// </summary>
    public long? BranchBytesMax { get; init; }

    /// <summary>How long a deleted branch can be restored; 0 keeps none. Default 1 h: long enough to notice a mistake.</summary>
    public TimeSpan RestoreGrace { get; init; } = TimeSpan.FromHours(1);

    /// <summary>Deleted branches that are kept at once, whatever their grace period: what CI deletes by the thousand is not missed. Default 100.</summary>
    public int DeletedKeptMax { get; init; } = 100;

    /// <summary>Branches whose Postgres runs at once; one idle costs about 26 MB. Default 200.</summary>
    public int RunningMax { get; init; } = 200;

    /// <summary>Postgres starts at once; more than the cores only lengthens each. Default: the number of cores, at least 2.</summary>
    public int StartsAtOnceMax { get; init; } = Math.Max(2, Environment.ProcessorCount);

    /// <summary>
    /// New branches whose Postgres is started before their first client comes, and waits for it at most half a minute. Default 2: who makes more
    /// at once has them started by their clients, so that a thousand branches for later start nothing. 0 leaves every start to a client.
    /// </summary>
    public int StartsAheadMax { get; init; } = 2;

    /// <summary>How long a start may take before it counts as failed. Default 60 s: a seed has nothing to replay.</summary>
    public TimeSpan StartTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>
    /// Memory for a branch's shared buffers, as Postgres writes it. Null, the default, shares a quarter of this machine's memory between
    /// <see cref="RunningMax"/> branches, and gives each at least 16 MB, which starts fastest, and at most 128 MB, Postgres's own default; with
    /// <see cref="BranchMemoryMax"/> set, never more than a quarter of that.
    /// </summary>
    public string? SharedBuffers { get; init; }

    /// <summary>Memory that one running branch may take, with its page cache, in bytes; null, the default, is no limit.</summary>
    public long? BranchMemoryMax { get; init; }

    /// <summary>Processor time that one running branch may take, in cores; null, the default, is no limit.</summary>
    public double? BranchCpusMax { get; init; }

    /// <summary>
    /// Processes of one running branch at once. Default 256: Postgres's default of 100 connections, a parallel worker for each, and its own
    /// dozen fit, while a fork bomb ends before the machine feels it.
    /// </summary>
    public int BranchProcessesMax { get; init; } = 256;

    /// <summary>
    /// Bytes of a branch's log; what is beyond becomes the one older file that is kept, so a branch costs at most twice this and what it
    /// logs within a second. Default 8 MiB: some 80,000 lines, more than anybody scrolls through.
    /// </summary>
    public long BranchLogBytesMax { get; init; } = 8L << 20;

    /// <summary>The role that a branch's connection string names. Default <c>branch_owner</c>.</summary>
    public string OwnerRole { get; init; } = "branch_owner";

    /// <summary>What that role may do inside the branch. Default: everything, which the sandbox is made for.</summary>
    public OwnerRights OwnerRights { get; init; } = OwnerRights.Superuser;

    /// <summary>The database that a branch's connection string names.</summary>
    public string Database => Following == FollowingMode.None ? OwnDatabase : Production.Database;

    /// <summary>How many spares are kept: a main that follows nothing has none, since a clone of it is its present already.</summary>
    public int SparesWanted => Following == FollowingMode.None ? 0 : SparesKept;

    /// <summary>The version that a main which production is streamed into is made with: production's own has everything that its schema can name.</summary>
    /// <param name="installed">At least one.</param>
    public int MajorBeside(int production, IReadOnlyCollection<int> installed) => OwnMajor ?? (installed.Contains(production) ? production : installed.Max());

    /// <exception cref="InvalidOperationException">Main follows nothing, so nothing may ask.</exception>
    internal PostgresUrl Production => Source ?? throw new InvalidOperationException("Branching without a source has no production to ask.");

    /// <summary>Connections to production that are closed as soon as they are given back.</summary>
    /// <param name="settings">Further settings of Npgsql.</param>
    internal NpgsqlDataSource OpenProduction(string settings = "") =>
        new NpgsqlSlimDataSourceBuilder($"{Production.ToNpgsql()};Pooling=false;{settings}").EnableTransportSecurity().Build();
}
