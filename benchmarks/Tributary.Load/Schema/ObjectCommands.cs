namespace Tributary.Load.Schema;

/// <summary>Commands about everything that is no table.</summary>
static class ObjectCommands
{
    const int Enough = 10;

    const string TriggerBody = "LANGUAGE plpgsql AS $f$ BEGIN IF TG_OP = 'DELETE' THEN RETURN OLD; END IF; RETURN NEW; END $f$";

    public static IEnumerable<SchemaCommandKind> All => [.. Types, .. Code, .. Views, .. Rights];

    static readonly SchemaCommandKind[] Types =
    [
        new("CREATE SCHEMA", 1, static c => c.Picture.Schemas.Count < 5 && c.NewName("ns") is { } name ? [$"CREATE SCHEMA {name}", $"GRANT USAGE ON SCHEMA {name} TO pg_monitor"] : null),
        new("ALTER SCHEMA RENAME", 1, static c => $"ALTER SCHEMA {c.Schema()} RENAME TO {c.NewName("nsr")}"),
        new("DROP SCHEMA CASCADE", 1, static c => c.Picture.Schemas.Count > 3 && c.Chance(50) ? $"DROP SCHEMA {c.Schema()} CASCADE" : null),
        new("CREATE TYPE ENUM", 2, static c => Few(c, "enum") ? $"CREATE TYPE {c.Schema()}.{c.NewName("e")} AS ENUM ('red', 'green', 'b l u e')" : null),
        new("ALTER TYPE ADD VALUE", 4, static c => c.Part("enum", static e => e.More.Length < 200) is { } e
            ? $"ALTER TYPE {e.Name} ADD VALUE 'v{c.Next(100000)}'{(c.Chance(50) ? $" {c.Any("BEFORE", "AFTER")} '{c.Any(e.More.Split(','))}'" : "")}" : null),
        new("ALTER TYPE RENAME VALUE", 2, static c => c.Part("enum") is { } e ? $"ALTER TYPE {e.Name} RENAME VALUE '{c.Any(e.More.Split(','))}' TO 'w{c.Next(100000)}'" : null),
        new("ALTER TYPE RENAME", 1, static c => c.Part(c.Any("enum", "composite")) is { } e ? $"ALTER TYPE {e.Name} RENAME TO {c.NewName("er")}" : null),
        new("ALTER TYPE SET SCHEMA", 1, static c => c.Part("enum") is { } e && c.Pick(c.Picture.Schemas.Where(s => !e.Name.StartsWith(s + ".", StringComparison.Ordinal))) is { } s ? $"ALTER TYPE {e.Name} SET SCHEMA {s}" : null),
        new("DROP TYPE CASCADE", 1, static c => c.Part(c.Any("enum", "composite")) is { } e ? $"DROP TYPE {e.Name} CASCADE" : null),
        new("CREATE TYPE composite", 1, static c => Few(c, "composite") ? $"CREATE TYPE {c.Schema()}.{c.NewName("comp")} AS (a int, b text)" : null),
        new("ALTER TYPE ATTRIBUTE", 2, static c => c.Part("composite") is { } e ? $"ALTER TYPE {e.Name} ADD ATTRIBUTE {c.NewName("attr")} {c.Any("int", "date", "text")} CASCADE" : null),
        new("CREATE DOMAIN", 2, static c => Few(c, "domain") ? $"CREATE DOMAIN {c.Schema()}.{c.NewName("dom")} AS int{c.Any(" DEFAULT 6", "")} CHECK (value > 0)" : null),
        new("ALTER DOMAIN DEFAULT", 1, static c => c.Part("domain") is { } d ? $"ALTER DOMAIN {d.Name} {(c.Chance(50) ? $"SET DEFAULT {c.Next(40) + 1}" : "DROP DEFAULT")}" : null),
        new("ALTER DOMAIN CONSTRAINT", 2, static c => c.Part("domain") is { } d ? $"ALTER DOMAIN {d.Name} ADD CONSTRAINT {c.NewName("dc")} CHECK (value < {c.Next(1000) + 60000})" : null),
        new("ALTER DOMAIN RENAME", 1, static c => c.Part("domain") is { } d ? $"ALTER DOMAIN {d.Name} RENAME TO {c.NewName("domr")}" : null),
        new("DROP DOMAIN CASCADE", 1, static c => c.Part("domain") is { } d ? $"DROP DOMAIN {d.Name} CASCADE" : null),
    ];

    static readonly SchemaCommandKind[] Code =
    [
        new("CREATE FUNCTION", 2, static c => Few(c, "function") ? $"CREATE FUNCTION {c.Schema()}.{c.NewName("f")}(x int, y text DEFAULT 'a; b') RETURNS int LANGUAGE sql IMMUTABLE AS $q$SELECT x + {c.Next(99)};$q$" : null),
        new("CREATE FUNCTION of a trigger", 2, static c => Few(c, "trigger function") ? $"CREATE FUNCTION {c.Schema()}.{c.NewName("tf")}() RETURNS trigger {TriggerBody}" : null),
        new("CREATE OR REPLACE FUNCTION", 2, static c => c.Part("trigger function") is { } f ? $"CREATE OR REPLACE FUNCTION {f.Name} RETURNS trigger {TriggerBody} SET work_mem = '{c.Next(9) + 1}MB'" : null),
        new("ALTER FUNCTION", 2, static c => c.Part("function") is { } f ? $"ALTER FUNCTION {f.Name} {c.Any("PARALLEL SAFE", "STABLE", "STRICT", "SECURITY DEFINER", $"COST {c.Next(99) + 1}")}" : null),
        new("ALTER FUNCTION RENAME", 1, static c => c.Part(c.Any("function", "trigger function")) is { } f ? $"ALTER FUNCTION {f.Name} RENAME TO {c.NewName("fr")}" : null),
        new("DROP FUNCTION", 1, static c => c.Part(c.Any("function", "trigger function")) is { } f ? $"DROP FUNCTION {f.Name} CASCADE" : null),
        new("CREATE PROCEDURE", 1, static c => Few(c, "procedure") ? $"CREATE PROCEDURE {c.Schema()}.{c.NewName("proc")}(INOUT a int) LANGUAGE plpgsql AS $p$ BEGIN a := 1; COMMIT; END $p$" : null),
        new("DROP PROCEDURE", 1, static c => c.Part("procedure") is { } p ? $"DROP PROCEDURE {p.Name}" : null),
    ];

    static readonly SchemaCommandKind[] Views =
    [
        new("CREATE VIEW", 3, static c => Few(c, "view") && c.Table() is { } t ? $"CREATE VIEW {c.Schema()}.{c.NewName("v")} AS SELECT {string.Join(", ", t.Columns.Take(3).Select(static x => x.Name))} FROM {t.Full}" : null),
        new("CREATE VIEW of a view", 1, static c => Few(c, "view") && c.Part("view") is { } v ? $"CREATE VIEW {c.Schema()}.{c.NewName("vv")} AS SELECT * FROM {v.Name}" : null),
        new("ALTER VIEW", 2, static c => c.Part("view") is { } v ? c.Chance(50) ? $"ALTER VIEW {v.Name} RENAME TO {c.NewName("vr")}" : $"ALTER VIEW {v.Name} SET (security_barrier = {c.Any("true", "false")})" : null),
        new("DROP VIEW", 2, static c => c.Part("view") is { } v ? $"DROP VIEW {v.Name} CASCADE" : null),
        new("CREATE MATERIALIZED VIEW", 1, static c => c.Picture.Of("matview").Count < 4 && c.Table() is { } t ? $"CREATE MATERIALIZED VIEW {c.Schema()}.{c.NewName("mv")} AS SELECT id, count(*) AS n FROM {t.Full} GROUP BY id{c.Any("", " WITH NO DATA")}" : null),
        new("REFRESH MATERIALIZED VIEW", 2, static c => c.Part("matview") is { } m ? $"REFRESH MATERIALIZED VIEW {m.Name}" : null),
        new("DROP MATERIALIZED VIEW", 1, static c => c.Part("matview") is { } m ? $"DROP MATERIALIZED VIEW {m.Name} CASCADE" : null),
        new("CREATE SEQUENCE", 1, static c => Few(c, "sequence") ? $"CREATE SEQUENCE {c.Schema()}.{c.NewName("s")} INCREMENT {c.Next(5) + 1} CACHE 3" : null),
        new("ALTER SEQUENCE", 2, static c => c.Part("sequence", static s => s.More != "i") is { } s ? $"ALTER SEQUENCE {s.Name} INCREMENT {c.Next(9) + 1} {c.Any("CYCLE", "NO CYCLE")}" : null),
        new("ALTER SEQUENCE RENAME", 1, static c => c.Part("sequence") is { } s ? $"ALTER SEQUENCE {s.Name} RENAME TO {c.NewName("sr")}" : null),
        new("ALTER SEQUENCE OWNED BY", 1, static c => c.Part("sequence", static s => s.More.Length == 0) is { } s && c.Table(t => s.Name.StartsWith(t.Schema + ".", StringComparison.Ordinal)) is { } t
            ? $"ALTER SEQUENCE {s.Name} OWNED BY {t.Full}.{c.Any(t.Columns).Name}" : null),
        new("DROP SEQUENCE CASCADE", 1, static c => c.Part("sequence", static s => s.More != "i") is { } s ? $"DROP SEQUENCE {s.Name} CASCADE" : null),
    ];

    static readonly SchemaCommandKind[] Rights =
    [
        new("GRANT ON TABLE", 3, static c => c.Table() is { } t ? $"GRANT {c.Any("SELECT", "INSERT, UPDATE", "ALL")} ON {t.Full} TO {c.Any("PUBLIC", "pg_monitor", "pg_read_all_data WITH GRANT OPTION")}" : null),
        new("GRANT ON COLUMN", 1, static c => c.Table() is { } t ? $"GRANT UPDATE ({c.Any(t.Columns).Name}) ON {t.Full} TO pg_monitor" : null),
        new("REVOKE", 2, static c => c.Table() is { } t ? $"REVOKE {c.Any("SELECT", "ALL")} ON {t.Full} FROM {c.Any("PUBLIC", "pg_monitor", "postgres")}" : null),
        new("GRANT ON FUNCTION, SCHEMA, TYPE", 2, static c => c.Part(c.Any("function", "enum", "domain", "sequence")) is { } x
            ? $"GRANT {(x.Kind == "function" ? $"EXECUTE ON FUNCTION {x.Name}" : x.Kind == "sequence" ? $"SELECT ON SEQUENCE {x.Name}" : $"USAGE ON TYPE {x.Name}")} TO pg_monitor" : $"GRANT USAGE ON SCHEMA {c.Schema()} TO PUBLIC"),
        new("ALTER DEFAULT PRIVILEGES", 1, static c => $"ALTER DEFAULT PRIVILEGES IN SCHEMA {c.Schema()} {c.Any("GRANT SELECT ON TABLES TO pg_monitor", "REVOKE SELECT ON TABLES FROM pg_monitor")}"),
        new("OWNER TO", 2, static c => c.Table() is { } t ? $"ALTER TABLE {t.Full} OWNER TO {c.Any("pg_monitor", "postgres")}" : null),
        new("COMMENT", 4, static c => c.Table() is not { } t ? null : c.Any(
            $"COMMENT ON TABLE {t.Full} IS 'it''s \\ {c.Next(99)}'", $"COMMENT ON COLUMN {t.Full}.{c.Any(t.Columns).Name} IS {c.Any("'col; é'", "NULL")}", $"COMMENT ON SCHEMA {t.Schema} IS 's{c.Next(9)}'",
            c.Part("index") is { } i ? $"COMMENT ON INDEX {i.Name} IS 'i'" : $"COMMENT ON TABLE {t.Full} IS NULL", c.Part("constraint") is { } k ? $"COMMENT ON CONSTRAINT {k.Name} ON {k.Owner} IS 'k'" : $"COMMENT ON TABLE {t.Full} IS NULL")),
        new("CREATE PUBLICATION", 1, static c => Few(c, "publication") && c.Table(static t => !t.IsUnlogged) is { } t ? $"CREATE PUBLICATION {c.NewName("pub")} FOR TABLE {t.Full} WITH (publish = 'insert')" : null),
        new("DROP PUBLICATION", 1, static c => c.Part("publication") is { } p ? $"DROP PUBLICATION {p.Name}" : null),
    ];

    static bool Few(SchemaChoices c, string kind) => c.Picture.Of(kind).Count < Enough;
}
