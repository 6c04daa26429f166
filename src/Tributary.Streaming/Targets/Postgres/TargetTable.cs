using System.Collections.Immutable;
using Npgsql;
using Tributary.Postgres;

namespace Tributary.Streaming.Targets.Postgres;

/// <summary>
/// How one version of a source table is written into the target's table of that name. Made only when both have the same columns: a difference
/// would drop or invent values without a word.
/// </summary>
internal sealed class TargetTable
{
    // Types up to here have the same number in every Postgres (src/include/access/transam.h, FirstGenbkiObjectId).
    const uint FixedTypeIdMax = 9999;

    // Types from here on are made by users and are numbered differently in each database.
    const uint FirstUserTypeId = 16384;

    TargetTable(TableSchema schema, ImmutableArray<TargetColumn> columns, ImmutableArray<int> key)
    {
        Schema = schema;
        Columns = columns;
        Key = key;
        Name = schema.ToString();
    }

    public TableSchema Schema { get; }

    /// <summary>The quoted, qualified name.</summary>
    public string Name { get; }

    public ImmutableArray<TargetColumn> Columns { get; }

    /// <summary>The columns that find a row; empty when the table has none, then only whole rows do.</summary>
    public ImmutableArray<int> Key { get; }

    /// <exception cref="StreamException">Kind Schema: the target's table is missing or has another shape.</exception>
    public static async Task<TargetTable> LoadAsync(NpgsqlConnection target, TableSchema schema, CancellationToken cancellationToken)
    {
        var found = new Dictionary<string, (TargetColumn Column, uint TypeId, int TypeModifier, bool IsKey)>();
        await using var command = new NpgsqlCommand(
            """
            SELECT a.attname::text, a.atttypid, a.atttypmod, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attgenerated <> '', a.attidentity = 'a',
                COALESCE(a.attnum = ANY (i.indkey), false)
            FROM pg_catalog.pg_class c
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            LEFT JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indisprimary
            WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p')
            """, target)
        { Parameters = { new() { Value = schema.Schema }, new() { Value = schema.Name } } };
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            var name = reader.GetString(0);
            var column = new TargetColumn(SqlQuoting.Identifier(name), reader.GetString(3), reader.GetBoolean(4), reader.GetBoolean(5));
            found.Add(name, (column, reader.GetFieldValue<uint>(1), reader.GetInt32(2), reader.GetBoolean(6)));
        }

        if (found.Count == 0)
            throw Differs(schema, "the target has no such table");
        var columns = ImmutableArray.CreateBuilder<TargetColumn>(schema.Columns.Length);
        foreach (var source in schema.Columns)
        {
            if (!found.Remove(source.Name, out var match))
                throw Differs(schema, $"the target has no column {SqlQuoting.Identifier(source.Name)}");
            var sameType = source.TypeId <= FixedTypeIdMax || match.TypeId <= FixedTypeIdMax
                ? source.TypeId == match.TypeId
                : source.TypeId >= FirstUserTypeId == match.TypeId >= FirstUserTypeId;
            if (!sameType || source.TypeModifier != match.TypeModifier)
                throw Differs(schema, $"column {SqlQuoting.Identifier(source.Name)} has another type at the target ({match.Column.TypeName})");
            columns.Add(match.Column with { IsPrimaryKey = match.IsKey });
        }

        if (found.Values.FirstOrDefault(left => !left.Column.IsGenerated).Column is { } extra)
            throw Differs(schema, $"the source no longer has the target's column {extra.Name}");
        var matched = columns.MoveToImmutable();
        return new TargetTable(schema, matched, KeyOf(schema, matched));
    }

    // With REPLICA IDENTITY FULL every column counts as identity; the target's primary key then finds the row quicker and just as surely.
    static ImmutableArray<int> KeyOf(TableSchema schema, ImmutableArray<TargetColumn> columns) => schema.Identity switch
    {
        ReplicaIdentity.Key => [.. Enumerable.Range(0, schema.Columns.Length).Where(i => schema.Columns[i].IsKey)],
        _ => [.. Enumerable.Range(0, schema.Columns.Length).Where(i => columns[i].IsPrimaryKey)],
    };

    static StreamException Differs(TableSchema schema, string what) => new(
        StreamErrorKind.Schema,
        $"Table {schema} differs between source and target: {what}. Make the same change on the target that was made on the source, then start the stream again; " +
        "it goes on where it stopped.");
}

/// <param name="Name">Quoted.</param>
/// <param name="TypeName">As <c>format_type</c> prints it, to be used in a cast.</param>
internal sealed record TargetColumn(string Name, string TypeName, bool IsGenerated, bool IsIdentityAlways, bool IsPrimaryKey = false);
