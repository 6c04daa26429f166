using Microsoft.Extensions.Logging;
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
internal sealed class SeedMaker(BranchingOptions options, SourceFacts facts, IMain main, IStorageDriver storage, IPostgresLauncher launcher, TimeProvider time, ILogger logger)
{
    /// <summary>A seed replays as fast as it can and is thrown away when it fails, so nothing of it needs to be durable before it is frozen.</summary>
    public static readonly string[] RecoverySettings =
    [
        "shared_buffers = 128MB", "autovacuum = off", "max_wal_size = 4GB", "checkpoint_timeout = 1h", "synchronous_commit = off", "wal_level = logical",
        PoolFlush.NoFsync,
    ];

    readonly Defuser _defuser = new(options, facts, time);

    static string FolderOf(string seedId) => $"seed-{seedId}";

    public static string VolumeOf(string seedId) => $"seeds/{seedId}";

    /// <param name="dataTime">A moment that the clone's data is at least as new as.</param>
    /// <param name="atLeast">A position that the clone is at or beyond.</param>
    /// <exception cref="StorageException">The pool refuses, for example because it is full.</exception>
    /// <exception cref="Postgres.Programs.ChildProcessException">The clone did not start, or did not recover all that it holds.</exception>
    public async Task<SeedStatus> MakeAsync(
        string seedId, DateTimeOffset dataTime, Lsn atLeast, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        var volume = VolumeOf(seedId);

        // Step 1: clone main.
        await main.CloneAsync(volume, cancellationToken);
        try
        {
            // Step 2: strip it.
            DataDirectory.Strip(storage.PathOf(volume), asStandby: false);

            // Step 3: start it.
            var spec = new LaunchSpec(FolderOf(seedId), storage.PathOf(volume), [.. RecoverySettings, .. facts.RequiredSettings])
            {
                // Production's checkpoints are minutes apart, and all the log since the last one is replayed here.
                StartTimeout = TimeSpan.FromMinutes(30),
            };
            Lsn lsn;
            await using (var running = await launcher.LaunchAsync(spec, cancellationToken))
            {
                // Step 4: read its position, defuse it.
                await using (var connection = await _defuser.ConnectAsync(running.SocketDirectory, cancellationToken))
                {
                    lsn = await main.SeparateAsync(connection, cancellationToken);
                    if (lsn < atLeast)
                        throw new Postgres.Programs.ChildProcessException($"The clone has recovered up to {lsn} and not to {atLeast}, as long as production has made no checkpoint since its failover.");
                    await _defuser.DefuseAsync(connection, cancellationToken);
                    await SeedResidue.LeaveLogBehindAsync(connection, cancellationToken);
                }

                // Step 5: checkpoint, stop, freeze. A fast shutdown checkpoints.
                await running.StopAsync(cancellationToken);
            }

            await storage.FreezeAsync(volume, cancellationToken);
            await PoolFlush.FlushAsync(storage.PathOf(volume), cancellationToken);
            Log.SeedReady(logger, seedId, lsn.ToString(), time.GetElapsedTime(started).TotalMilliseconds);
            return new SeedStatus(seedId, lsn, dataTime);
        }
        catch
        {
            await storage.DeleteAsync(volume, CancellationToken.None);
            throw;
        }
        finally
        {
            // Its last lines are in the message of a failure.
            launcher.RemoveFolder(FolderOf(seedId));
        }
    }

    /// <summary>Makes a seed of a promoted and defused spare: checkpoint, stop, clone, freeze. The spare has ended then and is the caller's to remove.</summary>
    /// <param name="dataTime">A moment that its data is at least as new as.</param>
    /// <exception cref="StorageException">The pool refuses.</exception>
    public async Task<SeedStatus> MakeOfSpareAsync(string seedId, Spare spare, Lsn lsn, DateTimeOffset dataTime, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        await spare.StopAsync(cancellationToken);
        try
        {
            await storage.CloneAsync(spare.Volume, VolumeOf(seedId), cancellationToken);
            await storage.FreezeAsync(VolumeOf(seedId), cancellationToken);
            await PoolFlush.FlushAsync(storage.PathOf(VolumeOf(seedId)), cancellationToken);
        }
        catch
        {
            await storage.DeleteAsync(VolumeOf(seedId), CancellationToken.None);
            throw;
        }

        Log.SeedReady(logger, seedId, lsn.ToString(), time.GetElapsedTime(started).TotalMilliseconds);
        return new SeedStatus(seedId, lsn, dataTime);
    }
}
