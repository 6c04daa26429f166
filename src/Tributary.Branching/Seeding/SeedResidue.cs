using Npgsql;

namespace Tributary.Branching.Seeding;

/// <summary>
/// What a change leaves behind on the disk. A row that is updated stays in its table's file until it is overwritten, and the log that a seed
/// has replayed holds every row as production wrote it; a superuser of a branch reads both with pg_read_binary_file. So the tables that
/// held secrets are rewritten, and the log is left behind.
/// </summary>
internal static class SeedResidue
{
    /// <summary>
    /// Removes what defusing has overwritten. The next checkpoint ends the removal: after <see cref="LeaveLogBehindAsync"/> it is in a
    /// segment of its own, and since nothing is recycled (see the settings of a server), all segments before it are deleted.
    /// </summary>
    public static async Task RemoveAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        // A rewritten table is a new file, and the old one is unlinked at the checkpoint (mdunlink in src/backend/storage/smgr/md.c).
        // VACUUM takes no transaction, so each is a command by itself.
        await connection.ExecuteAsync("VACUUM FULL pg_catalog.pg_authid", cancellationToken);
        await using var size = new NpgsqlCommand("SELECT pg_relation_size('pg_catalog.pg_subscription')", connection);
        if (await size.ExecuteScalarAsync(cancellationToken) is not 0L)
            await connection.ExecuteAsync("VACUUM FULL pg_catalog.pg_subscription", cancellationToken);
    }

    /// <summary>Lets the next checkpoint, also that of a stop, remove all the log there is.</summary>
    public static Task LeaveLogBehindAsync(NpgsqlConnection connection, CancellationToken cancellationToken) =>
        connection.ExecuteAsync("SELECT pg_switch_wal()", cancellationToken);
}
