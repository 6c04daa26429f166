using Npgsql;

namespace Tributary.Streaming.Copying;

/// <summary>
/// Whether a table still shows its rows as of the copy's snapshot. TRUNCATE and the forms of ALTER TABLE that rewrite a table are not MVCC-safe:
/// once they have committed, the table looks empty to every older snapshot, without an error
/// (https://www.postgresql.org/docs/current/mvcc-caveats.html). COPY also finds a table by the name that it has now, which may be another's by
/// then, and reads the partitions that there are now. What was not copied would come back with no later change.
/// </summary>
internal static class SnapshotRows
{
    // pg_class and pg_inherits are read as of the snapshot; to_regclass, pg_relation_filenode and pg_partition_tree answer from the catalog of this moment.
    const string Gone =
        """
        WITH RECURSIVE part AS (
            SELECT oid, relkind, relfilenode FROM pg_catalog.pg_class WHERE oid = $2
            UNION SELECT c.oid, c.relkind, c.relfilenode
            FROM part p JOIN pg_catalog.pg_inherits i ON i.inhparent = p.oid JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid WHERE p.relkind = 'p')
        SELECT pg_catalog.to_regclass($1)::oid IS DISTINCT FROM $2
            OR EXISTS (SELECT FROM part WHERE relkind IN ('r', 'm') AND relfilenode IS DISTINCT FROM pg_catalog.pg_relation_filenode(oid))
            OR EXISTS (SELECT FROM part WHERE oid <> $2 AND oid NOT IN (SELECT relid FROM pg_catalog.pg_partition_tree($2)))
            OR EXISTS (
                SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_partition_tree($2) t ON t.relid = c.oid
                WHERE c.oid <> $2 AND c.oid NOT IN (SELECT oid FROM part))
        """;

    /// <param name="source">In the transaction with the snapshot that has read the table, and so holds a lock on it.</param>
    public static async Task<bool> AreGoneAsync(NpgsqlConnection source, CopyTable table, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(Gone, source)
        {
            Parameters = { new() { Value = table.Name }, new() { Value = table.Oid, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Oid } },
        };
        return await command.ExecuteScalarAsync(cancellationToken) is true;
    }
}
