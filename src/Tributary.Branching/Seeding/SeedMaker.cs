using System.Globalization;
using Microsoft.Extensions.Logging;
using Npgsql;
using Tributary.Postgres;

namespace Tributary.Branching.Seeding;

/// <summary>
/// Makes a seed: a clone of main, recovered, defused, checkpointed, cleanly stopped and frozen. A branch cloned from it has nothing to
/// replay, so it starts in the time of a bare Postgres.
/// <list type="number">
/// <item>Clone main, which is a crash-consistent standby at that moment.</item>
/// <item>Strip what makes it a standby and what it knows of production's servers: signal files, slots, settings.</item>
/// <item>Start it in the sandbox: it replays the log that it holds and becomes a primary.</item>
/// <item>Read its exact position, then defuse it.</item>
/// <item>Checkpoint, stop, freeze.</item>
/// </list>
/// </summary>
internal sealed class SeedMaker(BranchingOptions options, SourceFacts facts, IStorageDriver storage, IPostgresLauncher launcher, TimeProvider time, ILogger logger)
{
    /// <summary>A seed replays as fast as it can and is thrown away when it fails, so nothing of it needs to be durable before it is frozen.</summary>
    static readonly string[] RecoverySettings =
    [
        "shared_buffers = 128MB", "autovacuum = off", "max_wal_size = 4GB", "checkpoint_timeout = 1h", "synchronous_commit = off", "wal_level = logical",
    ];

    public static string VolumeOf(string seedId) => $"seeds/{seedId}";

    /// <param name="cloneMain">Clones main to the named volume.</param>
    /// <param name="dataTime">A moment that the clone's data is at least as new as.</param>
    /// <exception cref="StorageException">The pool refuses, for example because it is full.</exception>
    /// <exception cref="Postgres.Programs.ChildProcessException">The clone did not start.</exception>
    public async Task<SeedStatus> MakeAsync(
        string seedId, DateTimeOffset dataTime, Func<string, CancellationToken, Task> cloneMain, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        var volume = VolumeOf(seedId);

        // Step 1: clone main.
        await cloneMain(volume, cancellationToken);
        try
        {
            // Step 2: strip it.
            Strip(storage.PathOf(volume));

            // Step 3: start it.
            var spec = new LaunchSpec($"seed-{seedId}", storage.PathOf(volume), [.. RecoverySettings, .. facts.RequiredSettings])
            {
                // Production's checkpoints are minutes apart, and all the log since the last one is replayed here.
                StartTimeout = TimeSpan.FromMinutes(30),
            };
            Lsn lsn;
            await using (var running = await launcher.LaunchAsync(spec, cancellationToken))
            {
                // Step 4: read its position, defuse it.
                lsn = await DefuseAsync(running.SocketDirectory, cancellationToken);

                // Step 5: checkpoint, stop, freeze. A fast shutdown checkpoints.
                await running.StopAsync(cancellationToken);
            }

            await storage.FreezeAsync(volume, cancellationToken);
            Log.SeedReady(logger, seedId, lsn.ToString(), time.GetElapsedTime(started).TotalMilliseconds);
            return new SeedStatus(seedId, lsn, dataTime);
        }
        catch
        {
            await storage.DeleteAsync(volume, CancellationToken.None);
            throw;
        }
    }

    static void Strip(string dataDirectory)
    {
        foreach (var file in new[] { "standby.signal", "recovery.signal", "postmaster.pid", "postmaster.opts" })
            File.Delete(Path.Combine(dataDirectory, file));
        File.WriteAllText(Path.Combine(dataDirectory, "postgresql.auto.conf"), "");
        foreach (var slot in Directory.EnumerateDirectories(Path.Combine(dataDirectory, "pg_replslot")))
            Directory.Delete(slot, recursive: true);
    }

    async Task<Lsn> DefuseAsync(string socketDirectory, CancellationToken cancellationToken)
    {
        await using var source = new NpgsqlSlimDataSourceBuilder(
            $"Host={socketDirectory};Username={facts.Superuser};Database=postgres;Pooling=false;Application Name=tributary").Build();
        await using var connection = await source.OpenConnectionAsync(cancellationToken);

        // The checkpoint at the end of recovery begins where production's log ended.
        var lsn = Lsn.Parse((string)(await ScalarAsync(connection, "SELECT redo_lsn::text FROM pg_control_checkpoint()", cancellationToken))!);

        // No password of production opens a branch, and no hash of one is kept in it to be read by whoever breaks it.
        await ExecuteAsync(connection, "UPDATE pg_catalog.pg_authid SET rolpassword = NULL WHERE rolpassword IS NOT NULL", cancellationToken);

        // A subscription would take changes from its publisher, and drop production's slot there when it is dropped here.
        await ExecuteAsync(connection, "UPDATE pg_catalog.pg_subscription SET subenabled = false, subslotname = NULL, subconninfo = ''", cancellationToken);

        var owner = SqlQuoting.Identifier(options.OwnerRole);
        var exists = await ScalarAsync(
            connection, string.Create(CultureInfo.InvariantCulture, $"SELECT 1 FROM pg_roles WHERE rolname = {SqlQuoting.Literal(options.OwnerRole)}"), cancellationToken);
        await ExecuteAsync(connection, $"{(exists is null ? "CREATE" : "ALTER")} ROLE {owner} LOGIN SUPERUSER", cancellationToken);
        await SeedResidue.RemoveAsync(connection, cancellationToken);
        return lsn;
    }

    static async Task<object?> ScalarAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteScalarAsync(cancellationToken);
    }

    static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
