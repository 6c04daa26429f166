using Npgsql;

namespace Tributary.Streaming.Targets.Postgres.Descriptions;

/// <param name="TypeName">As <c>format_type</c> prints it.</param>
internal sealed record TargetShapeColumn(string Name, string TypeName, uint TypeId, int TypeModifier, bool IsGenerated, bool HasDefault);

/// <summary>The target's table of a name, as it is inside the open transaction.</summary>
/// <param name="AlteredName">What its columns are altered by, quoted: a partition's are those of the whole table.</param>
/// <param name="Columns">In their order.</param>
internal sealed record TargetShape(string AlteredName, bool IsPartition, bool IsEmpty, IReadOnlyList<TargetShapeColumn> Columns)
{
    // Types from here on are numbered by each server anew (src/include/access/transam.h).
    const uint BuiltInTypesEnd = 10_000;

    const string TableSql =
        """
        SELECT c.relispartition, c.relkind = 'p', pg_catalog.format('%I.%I', rn.nspname, r.relname)
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_catalog.pg_class r ON r.oid = COALESCE(pg_catalog.pg_partition_root(c.oid), c.oid) JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace
        WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p')
        """;

    const string ColumnsSql =
        """
        SELECT a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod), a.atttypid, a.atttypmod, a.attgenerated <> '', a.atthasdef
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE n.nspname = $1 AND c.relname = $2 ORDER BY a.attnum
        """;

    /// <summary>Null when there is no such table.</summary>
    public static async Task<TargetShape?> ReadAsync(NpgsqlConnection target, string schema, string name, CancellationToken cancellationToken)
    {
        bool isPartition, isPartitioned;
        string altered;
        await using (var table = new NpgsqlCommand(TableSql, target) { Parameters = { new() { Value = schema }, new() { Value = name } } })
        {
            await using var reader = await table.ExecuteReaderAsync(cancellationToken);
            if (!await reader.ReadAsync(cancellationToken))
                return null;
            (isPartition, isPartitioned, altered) = (reader.GetBoolean(0), reader.GetBoolean(1), reader.GetString(2));
        }

        var columns = new List<TargetShapeColumn>();
        await using (var list = new NpgsqlCommand(ColumnsSql, target) { Parameters = { new() { Value = schema }, new() { Value = name } } })
        {
            await using var reader = await list.ExecuteReaderAsync(cancellationToken);
            while (await reader.ReadAsync(cancellationToken))
            {
                columns.Add(new TargetShapeColumn(
                    reader.GetString(0), reader.GetString(1), reader.GetFieldValue<uint>(2), reader.GetInt32(3), reader.GetBoolean(4), reader.GetBoolean(5)));
            }
        }

        await using var rows = new NpgsqlCommand($"SELECT NOT EXISTS (SELECT FROM {(isPartitioned || isPartition ? "" : "ONLY ")}{altered})", target);
        return new TargetShape(altered, isPartition, await rows.ExecuteScalarAsync(cancellationToken) is true, columns);
    }

    /// <summary>
    /// The shape of a table that was taken over before shapes were kept. Its columns are known by their names; one whose name the source no longer has
    /// takes the one number between its neighbours that nobody has. Null when there is none, or more than one.
    /// </summary>
    public TableShape? Numbered(TableSchema described, SourceTable source)
    {
        var byName = source.Columns.Values.Where(static column => !column.IsDropped).ToDictionary(static column => column.Name);
        var own = Columns.Where(static column => !column.IsGenerated).ToList();
        var numbers = own.Select(column => byName.TryGetValue(column.Name, out var found) ? found.Number : (short)0).ToArray();
        for (var i = 0; i < numbers.Length; i++)
        {
            if (numbers[i] != 0)
                continue;
            var below = i == 0 ? 0 : numbers[i - 1];
            var above = numbers.Skip(i + 1).FirstOrDefault(static number => number != 0, short.MaxValue);
            if (source.Columns.Keys.Where(number => number > below && number < above && !numbers.Contains(number)).ToList() is not [var only])
                return null;
            numbers[i] = only;
        }

        // What a column was is what the target has; a type of users' own is numbered otherwise there.
        return new TableShape(described.RelationId, described.Schema, described.Name, [.. own.Select((column, i) => new ShapeColumn(
            numbers[i], column.Name, column.TypeId < BuiltInTypesEnd ? column.TypeId : described.Columns.FirstOrDefault(other => other.Name == column.Name)?.TypeId ?? column.TypeId, column.TypeModifier))]);
    }
}
