namespace Tributary.Load.Schema;

/// <summary>Commands about what belongs to tables: constraints, indexes, triggers, rules, policies.</summary>
static class PartCommands
{
    public static IEnumerable<SchemaCommandKind> All => [.. Constraints, .. Indexes, .. Attached];

    static readonly SchemaCommandKind[] Constraints =
    [
        new("ADD CHECK", 3, static c => c.Table(static t => !t.IsPartition) is { } t ? $"ALTER TABLE {t.Full} ADD CONSTRAINT {c.NewName("chk")} CHECK (id <> {-1 - c.Next(50)})" : null),
        new("ADD CHECK NOT VALID, VALIDATE", 2, static c => c.Table(static t => !t.IsPartition) is { } t && c.NewName("nv") is { } name
            ? [$"ALTER TABLE {t.Full} ADD CONSTRAINT {name} CHECK (id > -100) NOT VALID", $"ALTER TABLE {t.Full} VALIDATE CONSTRAINT {name}"] : null),
        new("ADD UNIQUE", 3, static c => Indexable(c, static t => !t.IsPartition && t.Key is not null) is (var t, var x)
            ? $"ALTER TABLE {t.Full} ADD CONSTRAINT {c.NewName("uq")} UNIQUE ({t.Key!.Name}, {x.Name}){(c.Chance(30) && !t.IsPartitioned ? " DEFERRABLE INITIALLY DEFERRED" : "")}" : null),
        new("ADD PRIMARY KEY", 2, static c => c.Table(static t => !t.IsPartitioned && !t.IsPartition && !t.HasKin && !t.Columns.Any(static x => x.IsKey)) is { } t
            ? $"ALTER TABLE {t.Full} ADD COLUMN {c.NewName("pk")} bigserial PRIMARY KEY" : null),
        new("another primary key", 1, static c => c.Part("constraint", static k => k.More == "p") is { } k
            && c.Table(t => t.Full == k.Owner && !t.IsPartitioned && !t.IsPartition && !t.HasKin && t.Key is { Name: "id" }) is { } t
            ? $"ALTER TABLE {t.Full} DROP CONSTRAINT {k.Name} CASCADE, ADD CONSTRAINT {c.NewName("pk")} PRIMARY KEY (id) WITH (fillfactor = 80)" : null),
        new("ADD FOREIGN KEY NOT VALID, VALIDATE", 3, static c => ForeignKey(c)),
        new("ALTER CONSTRAINT", 1, static c => c.Part("constraint", static k => k.More == "f") is { } k ? $"ALTER TABLE {k.Owner} ALTER CONSTRAINT {k.Name} {c.Any("DEFERRABLE INITIALLY DEFERRED", "NOT DEFERRABLE")}" : null),
        new("RENAME CONSTRAINT", 3, static c => c.Part("constraint") is { } k ? $"ALTER TABLE {k.Owner} RENAME CONSTRAINT {k.Name} TO {c.NewName("con")}" : null),
        new("DROP CONSTRAINT", 4, static c => c.Part("constraint", static k => k.More != "p") is { } k ? $"ALTER TABLE {k.Owner} DROP CONSTRAINT {k.Name} CASCADE" : null),
        new("ADD CONSTRAINT USING INDEX", 2, static c => c.Part("index", static i => i.More == "unique") is { } i
            ? $"ALTER TABLE {i.Owner} ADD CONSTRAINT {c.NewName("ui")} UNIQUE USING INDEX {i.Name.Split('.', 2)[1]}" : null),
    ];

    static readonly SchemaCommandKind[] Indexes =
    [
        new("CREATE INDEX", 5, static c => Indexable(c, static _ => true) is (var t, var x)
            ? $"CREATE INDEX {c.NewName("ix")} ON {t.Full} {c.Any($"({x.Name})", $"({x.Name} DESC NULLS LAST, id)", $"({x.Name}) WHERE id > 5", "((id % 7))", $"(id) INCLUDE ({x.Name})")}" : null),
        new("CREATE UNIQUE INDEX", 3, static c => Indexable(c, static t => t.Key is not null && !t.IsPartition) is (var t, var x)
            ? $"CREATE UNIQUE INDEX {c.NewName("ux")} ON {t.Full} ({t.Key!.Name}, {x.Name})" : null),
        SchemaCommandKind.Alone("CREATE INDEX CONCURRENTLY", 3, static c => Indexable(c, static t => !t.IsPartitioned) is (var t, var x)
            ? $"CREATE INDEX CONCURRENTLY {c.NewName("cix")} ON {t.Full} ({x.Name})" : null),
        SchemaCommandKind.Alone("DROP INDEX CONCURRENTLY", 1, static c => c.Part("index", i => i.More is "unique" or "r") is { } i ? $"DROP INDEX CONCURRENTLY {i.Name}" : null),
        SchemaCommandKind.Alone("REINDEX CONCURRENTLY", 1, static c => c.Part("index", i => i.More is "unique" or "r") is { } i ? $"REINDEX INDEX CONCURRENTLY {i.Name}" : null),
        new("DROP INDEX", 4, static c => c.Part("index") is { } i ? $"DROP INDEX {i.Name}" : null),
        new("ALTER INDEX RENAME", 3, static c => c.Part("index") is { } i ? $"ALTER INDEX {i.Name} RENAME TO {c.NewName("ixr")}" : null),
        new("ALTER INDEX SET", 1, static c => c.Part("index", i => i.More is "unique" or "r") is { } i ? $"ALTER INDEX {i.Name} {c.Any("SET (fillfactor = 60)", "RESET (fillfactor)")}" : null),
        new("CREATE STATISTICS", 1, static c => Indexable(c, static _ => true) is (var t, var x) ? $"CREATE STATISTICS {t.Schema}.{c.NewName("st")} (dependencies) ON id, {x.Name} FROM {t.Full}" : null),
        new("DROP STATISTICS", 1, static c => c.Part("statistics") is { } s ? $"DROP STATISTICS {s.Name}" : null),
        new("CLUSTER ON", 1, static c => c.Part("index", static i => i.More is "unique") is { } i ? $"ALTER TABLE {i.Owner} CLUSTER ON {i.Name.Split('.', 2)[1]}" : null),
    ];

    static readonly SchemaCommandKind[] Attached =
    [
        new("CREATE TRIGGER", 3, static c => c.Table() is { } t && c.Part("trigger function") is { } f
            ? $"CREATE TRIGGER {c.NewName("tr")} {c.Any("BEFORE INSERT OR UPDATE", "AFTER DELETE", "AFTER UPDATE")} ON {t.Full} FOR EACH ROW EXECUTE FUNCTION {f.Name}" : null),
        new("ENABLE, DISABLE TRIGGER", 2, static c => c.Part("trigger") is { } t ? $"ALTER TABLE {t.Owner} {c.Any("DISABLE", "ENABLE", "ENABLE ALWAYS", "ENABLE REPLICA")} TRIGGER {t.Name}" : null),
        new("ALTER TRIGGER RENAME", 1, static c => c.Part("trigger") is { } t ? $"ALTER TRIGGER {t.Name} ON {t.Owner} RENAME TO {c.NewName("trr")}" : null),
        new("DROP TRIGGER", 2, static c => c.Part("trigger") is { } t ? $"DROP TRIGGER {t.Name} ON {t.Owner}" : null),
        new("CREATE RULE", 1, static c => c.Table(static t => !t.IsPartition && !t.IsPartitioned) is { } t ? $"CREATE RULE {c.NewName("ru")} AS ON DELETE TO {t.Full} WHERE OLD.id = -5 DO INSTEAD NOTHING" : null),
        new("DROP RULE", 1, static c => c.Part("rule") is { } r ? $"DROP RULE {r.Name} ON {r.Owner}" : null),
        new("CREATE POLICY", 2, static c => c.Table() is { } t
            ? $"CREATE POLICY {c.NewName("pol")} ON {t.Full} FOR {c.Any("ALL", "UPDATE")} TO {c.Any("PUBLIC", "pg_monitor", "pg_monitor, pg_read_all_data")} USING (id > {c.Next(9)}) WITH CHECK (id > 0)" : null),
        new("ALTER POLICY", 2, static c => c.Part("policy") is { } p ? c.Chance(50) ? $"ALTER POLICY {p.Name} ON {p.Owner} USING (id <> {c.Next(9)})" : $"ALTER POLICY {p.Name} ON {p.Owner} RENAME TO {c.NewName("polr")}" : null),
        new("DROP POLICY", 1, static c => c.Part("policy") is { } p ? $"DROP POLICY {p.Name} ON {p.Owner}" : null),
        new("ROW LEVEL SECURITY", 1, static c => c.Table() is { } t ? $"ALTER TABLE {t.Full} {c.Any("ENABLE", "DISABLE", "FORCE", "NO FORCE")} ROW LEVEL SECURITY" : null),
    ];

    // A column that a btree takes whatever its value.
    static (PicturedTable Table, PicturedColumn Column)? Indexable(SchemaChoices c, Func<PicturedTable, bool> condition)
    {
        static bool IsOther(PicturedColumn column) => !column.IsKey && IsSmall(column);
        static bool IsSmall(PicturedColumn column) => column.Type is "integer" or "bigint" or "smallint" or "uuid" or "date" or "boolean" or "timestamp with time zone"
            or "numeric(10,2)" or "character varying(20)" || column.TypeKind is "e";
        var table = c.Table(t => condition(t) && t.Columns.Any(IsOther));
        return table is null ? null : (table, c.Pick(table.Columns.Where(IsOther))!);
    }

    static string[]? ForeignKey(SchemaChoices c)
    {
        if (c.Column(static t => t.CanChange && !t.IsPartitioned && !t.IsUnlogged && !t.HasKin, static x => x.Type is "integer" or "bigint" && !x.NotNull && !x.IsGenerated && !x.IsIdentity) is not (var table, var column)
            || c.Table(t => t.Key is { Type: "integer" or "bigint" } && !t.IsUnlogged && t.Full != table.Full) is not { } other)
            return null;
        var name = c.NewName("fk");
        return
        [
            $"ALTER TABLE {table.Full} ADD CONSTRAINT {name} FOREIGN KEY ({column.Name}) REFERENCES {other.Full} ({other.Key!.Name}) ON DELETE SET NULL NOT VALID",
            $"UPDATE {table.Full} SET {column.Name} = NULL WHERE {column.Name} IS NOT NULL", $"ALTER TABLE {table.Full} VALIDATE CONSTRAINT {name}",
        ];
    }
}
