using Tributary.Postgres;

namespace Tributary.Streaming.Sources;

/// <summary>
/// Whether values may travel in binary. The binary form of a type means the same in every database unless it holds object numbers: arrays and
/// composites of types that initdb or users number (from 10,000 on, src/include/access/transam.h), and the <c>reg…</c> types.
/// A type without a send function comes as text anyway (logicalrep_write_tuple in src/backend/replication/logical/proto.c).
/// </summary>
internal static class BinaryForm
{
    const uint FirstMovingTypeId = 10_000;

    // The reg… types and their arrays (src/include/catalog/pg_type.dat).
    static readonly HashSet<uint> ObjectNumbers =
        [24, 2202, 2203, 2204, 2205, 2206, 4096, 4089, 3734, 3769, 4191, 1008, 2207, 2208, 2209, 2210, 2211, 4097, 4090, 3735, 3770, 4192];

    /// <summary>Whether it suits a table that was described since: a column may have come, or have got another type.</summary>
    public static bool Suits(TableSchema table)
    {
        foreach (var column in table.Columns)
        {
            if (column.TypeId >= FirstMovingTypeId || ObjectNumbers.Contains(column.TypeId))
                return false;
        }

        return true;
    }

    /// <summary>Whether it suits every column of every table that the publication names now. Asked on the session that will stream: the other one may be busy.</summary>
    public static async Task<bool> SuitsAsync(ReplicationConnection source, string publication, CancellationToken cancellationToken) =>
        await source.QueryAsync(
            $"""
            SELECT NOT EXISTS (
                SELECT FROM pg_catalog.pg_publication_tables p
                JOIN pg_catalog.pg_namespace n ON n.nspname = p.schemaname
                JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename
                JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
                LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
                WHERE p.pubname = {SqlQuoting.Literal(publication)} AND p.schemaname <> 'tributary'
                    AND (t.typsend <> 0 AND (a.atttypid >= 10000 OR e.typsend = 0 OR COALESCE(e.typname, t.typname) ~ '^reg')))
            """, cancellationToken) is [["t"]];
}
