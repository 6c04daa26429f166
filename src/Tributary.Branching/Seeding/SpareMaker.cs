using Npgsql;
using Tributary.Postgres.Programs;

namespace Tributary.Branching.Seeding;

/// <summary>
/// Makes spares.
/// <list type="number">
/// <item>Clone main, which is a crash image of it at that moment.</item>
/// <item>Strip what it knows of main's own following: slots, settings.</item>
/// <item>Open the link to main.</item>
/// <item>Start it in the sandbox; it is ready when it has replayed up to the moment of the clone.</item>
/// </list>
/// </summary>
/// <param name="settings">Lines of <c>postgresql.conf</c> that the branch it may become runs with.</param>
/// <param name="mainSocket">Main's socket file.</param>
internal sealed class SpareMaker(
    BranchingOptions options, SourceFacts facts, IMain main, IStorageDriver storage, IPostgresLauncher launcher, string runDirectory, string mainSocket,
    Func<IReadOnlyList<string>> settings, ComputeLimits limits, TimeProvider time)
{
    /// <summary>Beside the folder of the server's own socket.</summary>
    const string LinkFolder = "up";

    /// <summary>A spare that has replayed no more than a segment of log beyond what another one would has hardly more pages for itself: 16 MiB.</summary>
    const ulong LogBytesWorth = 16 << 20;

    /// <param name="number">Of the branch that it may become; names its volume and its folder.</param>
    /// <exception cref="StorageException">The pool refuses, for example because it is full.</exception>
    /// <exception cref="ChildProcessException">The clone did not start.</exception>
    /// <exception cref="NpgsqlException">The clone does not answer.</exception>
    public async Task<Spare> MakeAsync(long number, CancellationToken cancellationToken)
    {
        var volume = Branch.VolumeOf(number);
        var folder = Branch.FolderOf(number);
        MainLink? link = null;
        IRunningPostgres? running = null;
        NpgsqlConnection? connection = null;
        DatabaseDefuser? databases = null;
        try
        {
            // Step 1: clone main.
            await main.CloneAsync(volume, cancellationToken);

            // Step 2: strip it.
            DataDirectory.Strip(storage.PathOf(volume), asStandby: true);

            // Step 3: open the link.
            link = new MainLink(Path.Combine(OpenFolder(Path.Combine(runDirectory, folder)), LinkFolder), mainSocket);
            link.Listen();

            // Step 4: start it.
            var own = settings();
            running = await launcher.LaunchAsync(new LaunchSpec(folder, storage.PathOf(volume), [.. own, .. StandbySettings()])
            {
                StartTimeout = options.SpareStartTimeout,
                LinkDirectory = link.Folder,
                Limits = limits,
            }, cancellationToken);
            var defuser = new Defuser(options, facts, time);
            connection = await defuser.ConnectAsync(running.SocketDirectory, cancellationToken);
            var begin = await connection.RestartPointAsync(cancellationToken);
            await Defuser.WarmAsync(connection, cancellationToken);
            databases = await defuser.PrepareAsync(connection, cancellationToken);
            return new Spare(number, volume, begin, running, own, link, connection, defuser, databases, main, time);
        }
        catch
        {
            if (databases is not null)
                await databases.DisposeAsync();
            if (connection is not null)
                await connection.DisposeAsync();
            if (running is not null)
                await running.DisposeAsync();
            if (link is not null)
                await link.DisposeAsync();
            await storage.DeleteAsync(volume, CancellationToken.None);
            throw;
        }
    }

    /// <summary>Whether another one would have much less to replay, and so less for itself.</summary>
    /// <exception cref="NpgsqlException">Main does not answer.</exception>
    public async Task<bool> IsOutdatedAsync(Spare spare, CancellationToken cancellationToken) =>
        (await main.RestartPointAsync(cancellationToken)).Value >= spare.Begin.Value + LogBytesWorth;

    /// <summary>Removes what an ended spare has left in the pool and beside it.</summary>
    public async Task RemoveAsync(Spare spare)
    {
        await storage.DeleteAsync(spare.Volume, CancellationToken.None);
        var folder = Path.Combine(runDirectory, Branch.FolderOf(spare.Number));
        if (Directory.Exists(folder))
            Directory.Delete(folder, recursive: true);
    }

    /// <summary>Until a promoted spare is settled: what a worker has a snapshot of, defusing could not remove.</summary>
    public const string WithoutAutovacuum = "autovacuum = off";

    IEnumerable<string> StandbySettings() =>
    [
        $"primary_conninfo = 'host={LaunchSpec.LinkMount} port=5432 user={facts.Superuser.Replace("'", "''", StringComparison.Ordinal)} application_name=spare'",
        "hot_standby = on",
        PoolFlush.NoFsync,
        WithoutAutovacuum,
        // Main answers within a moment when it is there at all.
        "wal_retrieve_retry_interval = 200ms",
        // Our own session on a spare reads positions in a fraction of a millisecond; the replay waits for that rather than cancel it. A limit
        // would count from the arrival of the log, so that a spare that is behind by it would cancel at once.
        "max_standby_streaming_delay = -1",
        "max_standby_archive_delay = -1",
    ];

    static string OpenFolder(string path)
    {
        Directory.CreateDirectory(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        PostgresUser.Own(path);
        return path;
    }
}
