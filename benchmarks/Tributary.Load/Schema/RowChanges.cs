namespace Tributary.Load.Schema;

/// <summary>Random changes of rows, after the shape that a table had a moment ago.</summary>
static class RowChanges
{
    /// <summary>Keys are drawn from these, so that tables stay small and rows are met again.</summary>
    public const int Keys = 300;

    const string Any = "ORDER BY random() LIMIT 1";

    public static string Next(SchemaChoices c, PicturedTable table)
    {
        var isKeyed = table.Key is { Type: "integer" or "bigint" };
        if (!table.CanChange || !isKeyed)
            return table.CanChange && c.Chance(60) ? Delete(c, table) : Insert(c, table);
        return c.Next(10) switch { < 4 => Insert(c, table), < 6 => Upsert(c, table), < 8 => Update(c, table), _ => Delete(c, table) };
    }

    static string Insert(SchemaChoices c, PicturedTable table)
    {
        var columns = table.Columns.Where(column => !column.IsGenerated && (column.IsKey || column.Name == "id" || column.NotNull || c.Chance(70))).ToList();
        return columns.Count == 0
            ? $"INSERT INTO {table.Full} DEFAULT VALUES ON CONFLICT DO NOTHING"
            : $"INSERT INTO {table.Full} ({string.Join(", ", columns.Select(static column => column.Name))}) OVERRIDING SYSTEM VALUE "
                + $"VALUES ({string.Join(", ", columns.Select(column => Value(c, column)))}) ON CONFLICT DO NOTHING";
    }

    static string Upsert(SchemaChoices c, PicturedTable table) => c.Pick(Changeable(table)) is { } column
        ? Insert(c, table).Replace("ON CONFLICT DO NOTHING", $"ON CONFLICT ({table.Key!.Name}) DO UPDATE SET {column.Name} = {Value(c, column)}", StringComparison.Ordinal)
        : Insert(c, table);

    static string Update(SchemaChoices c, PicturedTable table) => c.Chance(15) && table.Key is { References: null, IsIdentity: false }
        ? $"UPDATE {table.Full} SET {table.Key.Name} = {c.Next(Keys)} WHERE {table.Key.Name} = {c.Next(Keys)} AND NOT EXISTS (SELECT FROM {table.Full} WHERE {table.Key.Name} > {c.Next(Keys)})"
        : c.Pick(Changeable(table)) is { } column
            ? $"UPDATE {table.Full} SET {column.Name} = {Value(c, column)} WHERE {table.Key!.Name} BETWEEN {c.Next(Keys)} AND {c.Next(Keys)}"
            : Insert(c, table);

    static string Delete(SchemaChoices c, PicturedTable table) => table.Key is { } key
        ? $"DELETE FROM {table.Full} WHERE {key.Name} IN (SELECT {key.Name} FROM {table.Full} {Any})"
        : table.IsPartitioned ? Insert(c, table) : $"DELETE FROM ONLY {table.Full} WHERE ctid IN (SELECT ctid FROM ONLY {table.Full} ORDER BY random() LIMIT 3)";

    static IEnumerable<PicturedColumn> Changeable(PicturedTable table) => table.Columns.Where(static column => !column.IsKey && !column.IsGenerated && !column.IsIdentity && column.Name != "id");

    static string Value(SchemaChoices c, PicturedColumn column)
    {
        if (column.IsKey || column.Name == "id")
            return column.Type is "integer" or "bigint" ? $"{c.Next(Keys)}" : c.Constant(column.Type) ?? "DEFAULT";
        if (column.References is { } other)
            return $"(SELECT {column.ReferencedColumn} FROM {other} {Any})";
        if (!column.NotNull && c.Chance(15))
            return "NULL";
        return c.Constant(column.Type) ?? (column.NotNull && !column.HasDefault ? "DEFAULT" : "NULL");
    }
}
