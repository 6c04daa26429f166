using Npgsql;
using Tributary.Postgres;

namespace Tributary.Streaming.Copying;

/// <summary>A table whose rows are to be copied.</summary>
/// <param name="Oid">Of the table that had the name when the tables were listed.</param>
/// <param name="Name">Quoted and qualified.</param>
/// <param name="Columns">Quoted, without generated ones, which the target computes.</param>
/// <param name="IsBinary">
/// Whether the binary form of all its types means the same in every database. It does not where it holds object numbers: arrays and composites
/// of types that initdb or users number (from 10,000 on, src/include/access/transam.h), and the <c>reg…</c> types. <c>aclitem</c> has none.
/// </param>
/// <param name="IsPartitioned">Its rows lie in partitions, which are not copied one by one.</param>
internal sealed record CopyTable(uint Oid, string Name, IReadOnlyList<string> Columns, bool IsBinary, bool IsPartitioned, long RowsEstimated, long Bytes)
{
    /// <summary>The tables of a publication, largest first, so that the last worker does not end with the largest.</summary>
    public static async Task<IReadOnlyList<CopyTable>> ListAsync(NpgsqlConnection source, string publication, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            SELECT p.schemaname::text, p.tablename::text, GREATEST(c.reltuples, 0)::bigint, COALESCE(pg_catalog.pg_table_size(c.oid), 0),
                COALESCE(array_agg(a.attname::text ORDER BY a.attnum) FILTER (WHERE a.attgenerated = ''), '{}'),
                COALESCE(bool_and(a.atttypid < 10000 AND t.typsend <> 0 AND (e.oid IS NULL OR e.typsend <> 0) AND COALESCE(e.typname, t.typname) !~ '^reg'), true),
                c.relkind = 'p', c.oid
            FROM pg_catalog.pg_publication_tables p
            JOIN pg_catalog.pg_namespace n ON n.nspname = p.schemaname
            JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename
            LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            LEFT JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
            LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
            WHERE p.pubname = $1 AND p.schemaname <> 'tributary'
            GROUP BY c.oid, p.schemaname, p.tablename, c.reltuples, c.relkind
            ORDER BY 4 DESC
            """, source)
        { Parameters = { new() { Value = publication } } };
        var tables = new List<CopyTable>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            tables.Add(new CopyTable(
                reader.GetFieldValue<uint>(7), SqlQuoting.Qualified(reader.GetString(0), reader.GetString(1)), [.. reader.GetFieldValue<string[]>(4).Select(SqlQuoting.Identifier)],
                reader.GetBoolean(5), reader.GetBoolean(6), reader.GetInt64(2), reader.GetInt64(3)));
        }

        return tables;
    }
}
