using Npgsql;
using NpgsqlTypes;

namespace Tributary.Streaming;

/// <summary>The shapes that a target's database has taken over, in a table of Tributary's own there, so that they change with the tables themselves.</summary>
internal static class TableShapeRecords
{
    public const string CreateSql =
        """
        CREATE TABLE IF NOT EXISTS tributary.table_shape (
            pipeline text NOT NULL,
            relation_id bigint NOT NULL,
            schema_name text NOT NULL,
            table_name text NOT NULL,
            numbers int2[] NOT NULL,
            names text[] NOT NULL,
            types bigint[] NOT NULL,
            modifiers int4[] NOT NULL,
            PRIMARY KEY (pipeline, relation_id));
        """;

    // What a description would show of each published table: its columns without generated ones, in the order of their numbers.
    const string SourceSql =
        """
        SELECT c.oid::bigint, p.schemaname::text, p.tablename::text,
            array_agg(a.attnum ORDER BY a.attnum), array_agg(a.attname::text ORDER BY a.attnum), array_agg(a.atttypid::bigint ORDER BY a.attnum), array_agg(a.atttypmod ORDER BY a.attnum)
        FROM pg_catalog.pg_publication_tables p
        JOIN pg_catalog.pg_namespace n ON n.nspname = p.schemaname
        JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename
        JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
        WHERE p.pubname = $1 AND p.schemaname <> 'tributary'
        GROUP BY c.oid, p.schemaname, p.tablename
        """;

    const string Columns = "relation_id, schema_name, table_name, numbers, names, types, modifiers";

    /// <summary>The source's tables as the session's snapshot shows them.</summary>
    public static Task<List<TableShape>> ReadSourceAsync(NpgsqlConnection source, string publication, CancellationToken cancellationToken) =>
        ReadAsync(source, SourceSql, cancellationToken, publication);

    public static Task<List<TableShape>> ReadAllAsync(NpgsqlConnection target, string pipeline, CancellationToken cancellationToken) =>
        ReadAsync(target, $"SELECT {Columns} FROM tributary.table_shape WHERE pipeline = $1", cancellationToken, pipeline);

    public static async Task<TableShape?> FindAsync(NpgsqlConnection target, string pipeline, uint relationId, CancellationToken cancellationToken) =>
        (await ReadAsync(target, $"SELECT {Columns} FROM tributary.table_shape WHERE pipeline = $1 AND relation_id = $2", cancellationToken, pipeline, (long)relationId))
        .FirstOrDefault();

    /// <summary>The table of the source that the target's table of that name belongs to.</summary>
    public static async Task<TableShape?> FindByNameAsync(NpgsqlConnection target, string pipeline, string schema, string name, CancellationToken cancellationToken) =>
        (await ReadAsync(
            target, $"SELECT {Columns} FROM tributary.table_shape WHERE pipeline = $1 AND schema_name = $2 AND table_name = $3", cancellationToken, pipeline, schema, name))
        .FirstOrDefault();

    /// <summary>Replaces all of a stream's.</summary>
    public static async Task ReplaceAsync(NpgsqlConnection target, string pipeline, IReadOnlyList<TableShape> shapes, CancellationToken cancellationToken)
    {
        await using var transaction = await target.BeginTransactionAsync(cancellationToken);
        await using var command = new NpgsqlCommand("DELETE FROM tributary.table_shape WHERE pipeline = $1", target)
        { Parameters = { new() { Value = pipeline } } };
        await command.ExecuteNonQueryAsync(cancellationToken);
        foreach (var shape in shapes)
            await SaveAsync(target, pipeline, shape, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
    }

    public static async Task SaveAsync(NpgsqlConnection target, string pipeline, TableShape shape, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            $"""
            INSERT INTO tributary.table_shape (pipeline, {Columns}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
            ON CONFLICT (pipeline, relation_id) DO UPDATE SET schema_name = excluded.schema_name, table_name = excluded.table_name,
                numbers = excluded.numbers, names = excluded.names, types = excluded.types, modifiers = excluded.modifiers
            """, target)
        {
            Parameters =
            {
                new() { Value = pipeline },
                new() { Value = (long)shape.RelationId },
                new() { Value = shape.Schema },
                new() { Value = shape.Name },
                new() { Value = shape.Columns.Select(column => column.Number).ToArray() },
                new() { Value = shape.Columns.Select(column => column.Name).ToArray(), NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Text },
                new() { Value = shape.Columns.Select(column => (long)column.TypeId).ToArray() },
                new() { Value = shape.Columns.Select(column => column.TypeModifier).ToArray() },
            },
        };
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    static async Task<List<TableShape>> ReadAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken, params object[] values)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        foreach (var value in values)
            command.Parameters.Add(new NpgsqlParameter { Value = value });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var shapes = new List<TableShape>();
        while (await reader.ReadAsync(cancellationToken))
        {
            var (numbers, names) = (reader.GetFieldValue<short[]>(3), reader.GetFieldValue<string[]>(4));
            var (types, modifiers) = (reader.GetFieldValue<long[]>(5), reader.GetFieldValue<int[]>(6));
            shapes.Add(new TableShape(
                (uint)reader.GetInt64(0), reader.GetString(1), reader.GetString(2),
                [.. numbers.Select((number, i) => new ShapeColumn(number, names[i], (uint)types[i], modifiers[i]))]));
        }

        return shapes;
    }
}
