namespace Tributary.Load.Schema;

/// <summary>Commands about whole tables and partitions.</summary>
static class TableCommands
{
    // Beyond these the run would spend its time in the catalog.
    const int TablesMax = 30;
    const int PartitionWidth = 100;

    public static IEnumerable<SchemaCommandKind> All => [.. Made, .. Altered, .. Partitions];

    static readonly SchemaCommandKind[] Made =
    [
        new("CREATE TABLE", 12, static c => IsFull(c) ? null : Create(c, $"{c.Schema()}.{c.NewName("t")}")),
        new("CREATE TABLE LIKE", 2, static c => IsFull(c) ? null : c.Table() is { } t ? $"CREATE TABLE {c.Schema()}.{c.NewName("l")} (LIKE {t.Full} INCLUDING ALL)" : null),
        new("CREATE TABLE AS", 3, static c => IsFull(c) ? null : c.Table() is { } t
            ? Keyed(c, $"{c.Schema()}.{c.NewName("ctas")}", name => $"CREATE TABLE {name} AS SELECT *, random() AS rnd, clock_timestamp() AS made FROM {t.Full}") : null),
        new("SELECT INTO", 2, static c => IsFull(c) ? null : c.Table() is { } t
            ? Keyed(c, $"{c.Schema()}.{c.NewName("into")}", name => $"SELECT * INTO {name} FROM {t.Full} LIMIT 50") : null),
        new("CREATE TABLE INHERITS", 1, static c => IsFull(c) ? null : c.Table(static t => !t.IsPartitioned && !t.IsPartition && !t.IsUnlogged) is { } t
            ? $"CREATE TABLE {c.Schema()}.{c.NewName("child")} ({c.NewName("own")} int DEFAULT 4, PRIMARY KEY (id)) INHERITS ({t.Full})" : null),
        new("CREATE UNLOGGED TABLE", 1, static c => IsFull(c) ? null : $"CREATE UNLOGGED TABLE {c.Schema()}.{c.NewName("u")} (id int PRIMARY KEY, a text)"),
        new("DROP TABLE", 6, static c => c.Picture.Tables.Count > TablesMax / 2 && c.Table() is { } t ? $"DROP TABLE {t.Full} CASCADE" : null),
        new("DROP TABLE, CREATE TABLE", 2, static c => c.Table(static t => !t.IsPartition) is { } t ? [$"DROP TABLE {t.Full} CASCADE", Create(c, t.Full), $"INSERT INTO {t.Full} (id) OVERRIDING SYSTEM VALUE VALUES (1) ON CONFLICT DO NOTHING"] : null),
    ];

    static readonly SchemaCommandKind[] Altered =
    [
        new("RENAME TABLE", 3, static c => c.Table() is { } t ? $"ALTER TABLE {t.Full} RENAME TO {c.NewName("r")}" : null),
        new("RENAME TABLE, swapped", 3, static c => c.Table() is { } t && c.Table(u => u.Schema == t.Schema && u.Name != t.Name) is { } u
            ? [$"ALTER TABLE {t.Full} RENAME TO swap_x", $"ALTER TABLE {u.Full} RENAME TO {t.Name}", $"DELETE FROM {t.Full} WHERE false", $"ALTER TABLE {t.Schema}.swap_x RENAME TO {u.Name}"] : null),
        new("SET SCHEMA", 2, static c => c.Table() is { } t && c.Pick(c.Picture.Schemas.Where(s => s != t.Schema)) is { } s ? $"ALTER TABLE {t.Full} SET SCHEMA {s}" : null),
        new("SET (storage parameters)", 2, static c => c.Table(static t => !t.IsPartitioned) is { } t
            ? c.Chance(60) ? $"ALTER TABLE {t.Full} SET (fillfactor = {c.Next(50) + 50}, toast.autovacuum_enabled = {c.Any("on", "off")})" : $"ALTER TABLE {t.Full} RESET (fillfactor)" : null),
        new("SET LOGGED, UNLOGGED", 2, static c => c.Table(static t => !t.IsPartitioned && !t.HasReferences && !t.IsPartition) is { } t
            ? $"ALTER TABLE {t.Full} SET {(t.IsUnlogged ? "LOGGED" : "UNLOGGED")}" : null),
        new("REPLICA IDENTITY", 2, static c => c.Table() is { } t ? $"ALTER TABLE {t.Full} REPLICA IDENTITY {(t.Key is null || c.Chance(50) ? "FULL" : "DEFAULT")}" : null),
        new("TRUNCATE among changes", 1, static c => c.Table(static t => !t.IsPartition && !t.HasKin) is { } t
            ? [$"TRUNCATE {t.Full} CASCADE", $"ALTER TABLE {t.Full} ADD COLUMN {c.NewColumn(t)} int DEFAULT 7", $"INSERT INTO {t.Full} (id) OVERRIDING SYSTEM VALUE VALUES (1), (2) ON CONFLICT DO NOTHING"] : null),
        new("INHERIT, NO INHERIT", 1, static c => Inherit(c)),
    ];

    static readonly SchemaCommandKind[] Partitions =
    [
        new("CREATE TABLE PARTITION BY", 2, static c => IsFull(c) || c.Picture.Tables.Count(static t => t.IsPartitioned) > 3 ? null : Partitioned(c)),
        new("CREATE TABLE PARTITION OF", 3, static c => IsFull(c) || c.Table(static t => t.IsPartitioned) is not { } t || FreeBound(c, t) is not { } bound
            ? null : $"CREATE TABLE {c.Schema()}.{c.NewName("part")} PARTITION OF {t.Full} {bound}"),
        new("ATTACH PARTITION", 4, static c => Attach(c)),
        new("DETACH PARTITION", 3, static c => c.Part("partition", static p => !p.More.Contains("MODULUS", StringComparison.Ordinal)) is { } p ? $"ALTER TABLE {p.Owner} DETACH PARTITION {p.Name}" : null),
        SchemaCommandKind.Alone("DETACH PARTITION CONCURRENTLY", 1, static c => c.Part("partition", static p => p.More.StartsWith("FOR", StringComparison.Ordinal) && !p.More.Contains("MODULUS", StringComparison.Ordinal)) is { } p
            && !c.Picture.Of("partition").Any(other => other.Owner == p.Owner && other.More == "DEFAULT") ? $"ALTER TABLE {p.Owner} DETACH PARTITION {p.Name} CONCURRENTLY" : null),
    ];

    static bool IsFull(SchemaChoices c) => c.Picture.Tables.Count >= TablesMax;

    static string Create(SchemaChoices c, string full)
    {
        var items = new List<string>
        {
            c.Any("id int PRIMARY KEY", "id bigint PRIMARY KEY", "id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY", "id bigint GENERATED ALWAYS AS IDENTITY (START 1000) PRIMARY KEY",
                "id serial PRIMARY KEY", "id int"),
        };
        var taken = new List<string>();
        for (var i = c.Next(5); i > 0; i--)
        {
            var (name, type) = (c.NewColumn(null, taken), c.Type());
            taken.Add(name);
            var constant = c.Constant(type);
            items.Add($"{name} {type}{(constant is not null && c.Chance(40) ? $" DEFAULT {constant}{(c.Chance(40) ? " NOT NULL" : "")}" : "")}{(c.Chance(10) ? $" CHECK ({name} IS NOT NULL OR id > -1)" : "")}");
        }

        if (c.Chance(35) && c.Table(t => t.Key is not null && !t.IsUnlogged && t.Full != full && t.Key.Type is "integer" or "bigint") is { } other)
            items.Add($"ref {other.Key!.Type} REFERENCES {other.Full} ({other.Key.Name}) ON DELETE {c.Any("CASCADE", "SET NULL")}{(c.Chance(30) ? " DEFERRABLE INITIALLY DEFERRED" : "")}");
        if (taken.Count > 0 && c.Chance(20))
            items.Add($"CONSTRAINT {c.NewName("chk")} CHECK (id <> -7)");
        return $"CREATE TABLE {full} ({string.Join(", ", items)}){(c.Chance(20) ? " WITH (fillfactor = 70)" : "")}";
    }

    // Rows of a table without any identity could never be changed again, so most get one.
    static string[] Keyed(SchemaChoices c, string name, Func<string, string> make) =>
        c.Chance(70) ? [make(name), $"ALTER TABLE {name} REPLICA IDENTITY FULL", $"UPDATE {name} SET id = id WHERE id % 2 = 0"] : [make(name)];

    static string[] Partitioned(SchemaChoices c)
    {
        var name = $"{c.Schema()}.{c.NewName("p")}";
        var key = c.Any("RANGE", "LIST", "HASH");
        string[] first = key switch
        {
            "HASH" => [.. Enumerable.Range(0, 2).Select(i => $"CREATE TABLE {c.Schema()}.{c.NewName("h")} PARTITION OF {name} FOR VALUES WITH (MODULUS 2, REMAINDER {i})")],
            _ when c.Chance(30) => [$"CREATE TABLE {c.Schema()}.{c.NewName("def")} PARTITION OF {name} DEFAULT"],
            _ => [.. Bounds(key == "RANGE").Skip(1).Select(bound => $"CREATE TABLE {c.Schema()}.{c.NewName("part")} PARTITION OF {name} {bound}")],
        };
        return [$"CREATE TABLE {name} (id int PRIMARY KEY, a text DEFAULT 'p', b int CHECK (b <> -1)) PARTITION BY {key} (id)", .. first];
    }

    static string[]? Inherit(SchemaChoices c)
    {
        if (c.Table(static t => !t.IsPartitioned && !t.IsPartition && !t.HasKin && !t.IsUnlogged && t.Key is not null && !t.Columns.Any(static x => x.IsGenerated)) is not { } parent || IsFull(c))
            return null;
        var child = $"{parent.Schema}.{c.NewName("kin")}";
        string[] joined = [$"CREATE TABLE {child} (LIKE {parent.Full} INCLUDING CONSTRAINTS, PRIMARY KEY ({parent.Key!.Name}))", $"ALTER TABLE {child} INHERIT {parent.Full}"];
        return c.Chance(50) ? joined : [.. joined, $"ALTER TABLE {child} NO INHERIT {parent.Full}"];
    }

    static string? FreeBound(SchemaChoices c, PicturedTable parent)
    {
        var taken = c.Picture.Of("partition").Where(part => part.Owner == parent.Full).Select(static part => part.More).ToList();
        // Rows that a default partition has taken would be in the way.
        if (parent.PartitionKey!.StartsWith("HASH", StringComparison.Ordinal) || taken.Contains("DEFAULT"))
            return null;
        return c.Pick(Bounds(parent.PartitionKey.StartsWith("RANGE", StringComparison.Ordinal)).Where(bound => !taken.Contains(bound)));
    }

    static IEnumerable<string> Bounds(bool isRange) => Enumerable.Range(0, RowChanges.Keys / PartitionWidth).Select(i => isRange
        ? $"FOR VALUES FROM ({i * PartitionWidth}) TO ({(i + 1) * PartitionWidth})"
        : $"FOR VALUES IN ({string.Join(", ", Enumerable.Range(i * PartitionWidth, PartitionWidth))})");

    static string[]? Attach(SchemaChoices c)
    {
        if (IsFull(c) || c.Table(static t => t.IsPartitioned) is not { } parent || FreeBound(c, parent) is not { } bound)
            return null;
        var name = $"{c.Schema()}.{c.NewName("att")}";
        var first = bound[(bound.IndexOf('(', StringComparison.Ordinal) + 1)..].Split(',', ')')[0];
        return
        [
            $"CREATE TABLE {name} (LIKE {parent.Full} INCLUDING ALL)", $"INSERT INTO {name} (id) OVERRIDING SYSTEM VALUE VALUES ({first})",
            $"ALTER TABLE {parent.Full} ATTACH PARTITION {name} {bound}",
        ];
    }
}
