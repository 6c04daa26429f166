namespace Tributary.Load.Schema;

/// <summary>Random choices among what there is, and names and values for what is made.</summary>
sealed class SchemaChoices(Random random)
{
    // Few, so that names come back after they were dropped; some of them need quotes, some more than one byte a character.
    static readonly string[] ColumnNames = ["a", "b", "c", "d", "\"E e\"", "\"select\"", "\"ключ\"", "\"q\"\"t\"", "\"表\"", "long_name_of_a_column"];

    static readonly string[] Types =
    [
        "integer", "bigint", "smallint", "text", "character varying(20)", "numeric(10,2)", "double precision", "boolean", "date", "timestamp with time zone", "uuid", "jsonb",
        "integer[]", "text[]", "bytea", "interval", "int4range", "character(5)",
    ];

    int _names;

    public SchemaPicture Picture { get; set; } = new([], [], []);

    public int Next(int end) => random.Next(end);

    public bool Chance(int percent) => random.Next(100) < percent;

    public T Any<T>(params IReadOnlyList<T> items) => items[random.Next(items.Count)];

    public T? Pick<T>(IEnumerable<T> items)
        where T : class
    {
        var all = items.ToList();
        return all.Count == 0 ? null : all[random.Next(all.Count)];
    }

    public string Schema() => Any(Picture.Schemas);

    public PicturedTable? Table(Func<PicturedTable, bool>? condition = null) => Pick(Picture.Tables.Where(table => condition?.Invoke(table) != false));

    public PicturedPart? Part(string kind, Func<PicturedPart, bool>? condition = null) => Pick(Picture.Of(kind).Where(part => condition?.Invoke(part) != false));

    /// <summary>A column that commands may take away or give another type.</summary>
    public (PicturedTable Table, PicturedColumn Column)? Column(Func<PicturedTable, bool> ofTable, Func<PicturedColumn, bool> ofColumn)
    {
        var table = Table(candidate => !candidate.IsPartition && ofTable(candidate) && candidate.Free.Any(ofColumn));
        return table is null ? null : (table, Pick(table.Free.Where(ofColumn))!);
    }

    /// <summary>A name that nothing has had before.</summary>
    public string NewName(string prefix)
    {
        var number = ++_names;
        return random.Next(8) switch { 0 => $"\"Größe {prefix} {number}\"", 1 => $"\"{prefix}表\"\"{number}\"", _ => $"{prefix}{number}" };
    }

    /// <summary>A column's name that the table does not have.</summary>
    public string NewColumn(PicturedTable? table, params IReadOnlyList<string> taken)
    {
        var free = ColumnNames.Where(name => table?.Columns.Any(column => column.Name == name) != true && !taken.Contains(name)).ToList();
        return free.Count == 0 || Chance(20) ? NewName("col") : Any(free);
    }

    public string Type()
    {
        var own = Chance(25) ? Pick(Picture.Parts.Where(static part => part.Kind is "domain" or "composite" || (part.Kind == "enum" && part.More.Length > 0))) : null;
        return own is null ? Any(Types) : own.Kind == "enum" && Chance(20) ? own.Name + "[]" : own.Name;
    }

    /// <summary>A constant of the type, as SQL; null where none is known but NULL.</summary>
    public string? Constant(string type)
    {
        if (Picture.Of("enum").FirstOrDefault(part => part.Name == type) is { } named)
            return $"'{Any(named.More.Split(','))}'::{type}";
        if (Picture.Of("domain").Any(part => part.Name == type))
            return $"{random.Next(1, 50)}::{type}";
        var bare = type.Split('(')[0];
        return bare switch
        {
            "integer" or "bigint" or "smallint" => $"{random.Next(30000)}",
            "numeric" => $"{random.Next(1000)}.{random.Next(100):00}",
            "double precision" => $"{random.Next(1000)}.5",
            "text" => Any("'it''s'", "'ö表 \\ \"'", "''", $"repeat('x', {random.Next(60)})", $"repeat('long ', {random.Next(900)})"),
            "character varying" or "character" => $"'v{random.Next(1000)}'",
            "boolean" => Any("true", "false"),
            "date" => $"date '2026-01-01' + {random.Next(300)}",
            "timestamp with time zone" => $"timestamptz '2026-01-01 00:00:00.123+02' + interval '{random.Next(9000)} min'",
            "uuid" => $"md5('{random.Next()}')::uuid",
            "jsonb" => $"'{{\"k\": [{random.Next(100)}, null, \"é\"]}}'::jsonb",
            "integer[]" => $"'{{{random.Next(9)},NULL,{random.Next(9)}}}'::integer[]",
            "text[]" => "ARRAY['a,\"b', NULL, '{}']",
            "bytea" => $"'\\x{random.Next(256):x2}00ff'::bytea",
            "interval" => $"interval '1 mon {random.Next(60)} sec'",
            "int4range" => $"'[{random.Next(10)},{random.Next(10, 99)})'::int4range",
            _ => null,
        };
    }
}
