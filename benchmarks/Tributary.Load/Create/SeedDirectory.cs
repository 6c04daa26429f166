using Tributary.Postgres.Programs;

namespace Tributary.Load.Create;

/// <summary>A data directory in the pool that every contestant clones: pgbench's tables, checkpointed and cleanly stopped.</summary>
static class SeedDirectory
{
    // 2,000,000 rows, about 300 MB: more than a branch's shared buffers, small enough to load in seconds. A clone's time does not depend on it.
    const int PgbenchScale = 20;

    public const string FirstRowQuery = "SELECT bid FROM pgbench_branches ORDER BY bid LIMIT 1";

    public const string FirstRow = "1";

    /// <summary>Commits a change and answers what the query answers.</summary>
    public const string FirstWrite = "UPDATE pgbench_branches SET bbalance = bbalance + 1 WHERE bid = 1 RETURNING bid";

    public static string Description => $"data: pgbench -s {PgbenchScale}, about 300 MB; btrfs on a loop device, nodatacow";

    /// <summary>Makes the subvolume <c>seed</c> in the pool; answers its path.</summary>
    public static async Task<string> CreateAsync(PostgresInstallation installation, LoopPool pool, CancellationToken cancellationToken)
    {
        var seed = Path.Combine(pool.Path, "seed");
        (await ChildProcesses.RunAsync(new ChildProcessSpec("btrfs", ["subvolume", "create", seed]), cancellationToken)).EnsureSucceeded("btrfs subvolume create");
        (await ChildProcesses.RunAsync(new ChildProcessSpec("chattr", ["+C", seed]), cancellationToken)).EnsureSucceeded("chattr");
        await using var server = await PostgresServer.CreateAsync(
            installation, seed, ["shared_buffers = 16MB", "max_wal_size = 256MB", "fsync = on"], cancellationToken);
        await FillAsync(server, cancellationToken);
        await server.StopAsync("INT", cancellationToken);
        return seed;
    }

    /// <summary>Loads the data into a running server.</summary>
    public static Task FillAsync(PostgresServer server, CancellationToken cancellationToken) => FillAsync(server, "postgres", cancellationToken);

    /// <summary>Loads the data into a database of a running server.</summary>
    public static async Task FillAsync(PostgresServer server, string database, CancellationToken cancellationToken)
    {
        var load = await ChildProcesses.RunAsync(
            new ChildProcessSpec(server.Installation.Program("pgbench"),
                ["--initialize", "--quiet", $"--scale={PgbenchScale}", "--host", server.SocketDirectory, "--port", $"{server.Port}", "--username=postgres", database]),
            cancellationToken);
        load.EnsureSucceeded("pgbench --initialize");
    }
}
