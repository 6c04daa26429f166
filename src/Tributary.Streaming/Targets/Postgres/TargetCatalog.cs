using Npgsql;
using Tributary.Postgres;

namespace Tributary.Streaming.Targets.Postgres;

/// <param name="Name">Quoted.</param>
/// <param name="TypeName">As <c>format_type</c> prints it with its modifier, to be used in a cast of a text.</param>
/// <param name="WireTypeName">Without a modifier, to name the type of a binary value or, with brackets, of an array of them.</param>
/// <param name="TypeId">The target's identifier of the type.</param>
/// <param name="HasArrayType">Whether there are arrays of the type; there are none of arrays.</param>
internal sealed record TargetColumn(
    string Name, string TypeName, string WireTypeName, uint TypeId, int TypeModifier, bool HasArrayType, bool IsGenerated, bool IsIdentityAlways,
    bool IsPrimaryKey, bool IsInKey = false);

/// <param name="HasTriggers">Triggers or rules that fire in a replica's session too.</param>
internal readonly record struct TableTraits(bool IsPartitioned, bool HasTriggers, bool HasRowSecurity);

/// <summary>Reads what the target's catalog says of one table, in one round trip.</summary>
internal static class TargetCatalog
{
    const string ColumnsSql =
        """
        SELECT a.attname::text, a.atttypid, a.atttypmod, pg_catalog.format_type(a.atttypid, a.atttypmod), pg_catalog.format_type(a.atttypid, -1),
            t.typarray <> 0, a.attgenerated <> '', a.attidentity = 'a', COALESCE(a.attnum = ANY (i.indkey), false)
        FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
        LEFT JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indisprimary
        WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p')
        """;

    const string TraitsSql =
        """
        SELECT c.relkind = 'p',
            EXISTS (SELECT FROM pg_catalog.pg_trigger g WHERE g.tgenabled IN ('A', 'R') AND (g.tgrelid = c.oid OR g.tgrelid IN (SELECT relid FROM pg_catalog.pg_partition_tree(c.oid))))
                OR EXISTS (SELECT FROM pg_catalog.pg_rewrite r WHERE r.ev_class = c.oid AND r.ev_enabled IN ('A', 'R')),
            pg_catalog.row_security_active(c.oid)
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p')
        """;

    // Only what is checked at once and for every row can tell two keys apart.
    const string UniquesSql =
        """
        SELECT ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
                     WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1]))
        FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = $1 AND c.relname = $2 AND i.indisunique AND i.indimmediate AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
        """;

    public static async Task<(Dictionary<string, TargetColumn> Columns, TableTraits Traits, List<string[]> Uniques)> ReadAsync(
        NpgsqlConnection target, TableSchema schema, CancellationToken cancellationToken)
    {
        await using var batch = new NpgsqlBatch(target);
        foreach (var sql in (string[])[ColumnsSql, TraitsSql, UniquesSql])
            batch.BatchCommands.Add(new NpgsqlBatchCommand(sql) { Parameters = { new() { Value = schema.Schema }, new() { Value = schema.Name } } });
        await using var reader = await batch.ExecuteReaderAsync(cancellationToken);
        var columns = new Dictionary<string, TargetColumn>();
        while (await reader.ReadAsync(cancellationToken))
        {
            var name = reader.GetString(0);
            columns.Add(name, new TargetColumn(
                SqlQuoting.Identifier(name), reader.GetString(3), reader.GetString(4), reader.GetFieldValue<uint>(1), reader.GetInt32(2),
                reader.GetBoolean(5), reader.GetBoolean(6), reader.GetBoolean(7), reader.GetBoolean(8)));
        }

        await reader.NextResultAsync(cancellationToken);
        var traits = await reader.ReadAsync(cancellationToken)
            ? new TableTraits(reader.GetBoolean(0), reader.GetBoolean(1), reader.GetBoolean(2))
            : default;
        await reader.NextResultAsync(cancellationToken);
        var uniques = new List<string[]>();
        while (await reader.ReadAsync(cancellationToken))
            uniques.Add(reader.GetFieldValue<string[]>(0));
        return (columns, traits, uniques);
    }
}
