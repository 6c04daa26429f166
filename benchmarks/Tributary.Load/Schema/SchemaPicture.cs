using Npgsql;

namespace Tributary.Load.Schema;

/// <summary>What there is in the source's schemas at one moment, by name, so that the same seed makes the same choices.</summary>
sealed record SchemaPicture(IReadOnlyList<string> Schemas, IReadOnlyList<PicturedTable> Tables, IReadOnlyList<PicturedPart> Parts)
{
    const string IsOurs = "n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'tributary', 'public')";

    const string SchemaNames = $"SELECT quote_ident(n.nspname) FROM pg_namespace n WHERE {IsOurs} ORDER BY n.nspname COLLATE \"C\"";

    const string Columns =
        $"""
        SELECT quote_ident(n.nspname), quote_ident(c.relname), c.relkind::text, c.relispartition, c.relpersistence = 'u',
            CASE c.relreplident WHEN 'd' THEN EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary) WHEN 'n' THEN false ELSE true END,
            EXISTS (SELECT FROM pg_constraint k WHERE k.contype = 'f' AND c.oid IN (k.conrelid, k.confrelid)),
            EXISTS (SELECT FROM pg_depend d WHERE d.refobjid = c.oid AND d.classid = 'pg_rewrite'::regclass),
            EXISTS (SELECT FROM pg_inherits h WHERE c.oid IN (h.inhparent, h.inhrelid)),
            pg_get_partkeydef(c.oid),
            quote_ident(a.attname), format_type(a.atttypid, a.atttypmod), a.attnotnull, a.atthasdef, a.attgenerated <> '', a.attidentity <> '',
            a.attinhcount > 0,
            COALESCE((SELECT i.indisprimary FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND a.attnum = ANY (i.indkey)), false),
            (SELECT format('%I.%I', rn.nspname, rc.relname) FROM pg_constraint k JOIN pg_class rc ON rc.oid = k.confrelid JOIN pg_namespace rn ON rn.oid = rc.relnamespace
                WHERE k.conrelid = c.oid AND k.contype = 'f' AND k.conkey = ARRAY[a.attnum] AND k.conparentid = 0 ORDER BY k.conname LIMIT 1),
            (SELECT quote_ident(ra.attname) FROM pg_constraint k JOIN pg_attribute ra ON ra.attrelid = k.confrelid AND ra.attnum = k.confkey[1]
                WHERE k.conrelid = c.oid AND k.contype = 'f' AND k.conkey = ARRAY[a.attnum] AND k.conparentid = 0 ORDER BY k.conname LIMIT 1),
            t.typtype::text, (SELECT min(enumlabel) FROM pg_enum e WHERE e.enumtypid = t.oid),
            EXISTS (SELECT FROM pg_depend d WHERE d.refobjid = c.oid AND d.refobjsubid = a.attnum AND (d.classid = 'pg_attrdef'::regclass AND d.deptype = 'n'
                OR d.classid IN ('pg_policy'::regclass, 'pg_trigger'::regclass)))
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_type t ON t.oid = a.atttypid
        WHERE c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped AND {IsOurs}
        ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C", a.attnum
        """;

    // Every other thing: its kind, the table it belongs to or nothing, its name, and a word more.
    const string Others =
        $"""
        SELECT kind, owner, name, more FROM (
            SELECT 'index' AS kind, format('%I.%I', n.nspname, c.relname) AS owner, format('%I.%I', n.nspname, x.relname) AS name,
                CASE WHEN i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL AND c.relkind = 'r' THEN 'unique' ELSE c.relkind::text END AS more
            FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE NOT x.relispartition AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = x.oid AND k.contype IN ('p', 'u', 'x')) AND c.relkind <> 't' AND {IsOurs}
            UNION ALL SELECT 'constraint', format('%I.%I', n.nspname, c.relname), quote_ident(k.conname), k.contype::text
            FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE k.coninhcount = 0 AND k.conparentid = 0 AND k.contype IN ('c', 'f', 'p', 'u', 'x') AND {IsOurs}
            UNION ALL SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'matview' ELSE 'sequence' END, NULL, format('%I.%I', n.nspname, c.relname),
                (SELECT d.deptype::text FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i') LIMIT 1)
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('v', 'm', 'S') AND {IsOurs}
            UNION ALL SELECT CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' ELSE 'composite' END, NULL, format('%I.%I', n.nspname, t.typname),
                (SELECT string_agg(enumlabel, ',' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid)
            FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid
            WHERE (t.typtype IN ('e', 'd') OR c.relkind = 'c') AND {IsOurs}
            UNION ALL SELECT CASE WHEN p.prokind = 'p' THEN 'procedure' WHEN p.prorettype = 'trigger'::regtype THEN 'trigger function' ELSE 'function' END, NULL,
                format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)), NULL
            FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE {IsOurs}
            UNION ALL SELECT 'trigger', format('%I.%I', n.nspname, c.relname), quote_ident(t.tgname), NULL
            FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND {IsOurs}
            UNION ALL SELECT 'policy', format('%I.%I', n.nspname, c.relname), quote_ident(p.polname), NULL
            FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {IsOurs}
            UNION ALL SELECT 'rule', format('%I.%I', n.nspname, c.relname), quote_ident(r.rulename), NULL
            FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace WHERE r.rulename <> '_RETURN' AND {IsOurs}
            UNION ALL SELECT 'statistics', NULL, format('%I.%I', n.nspname, s.stxname), NULL
            FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace WHERE {IsOurs}
            UNION ALL SELECT 'publication', NULL, quote_ident(pubname), NULL FROM pg_publication WHERE pubname !~ '^tributary'
            UNION ALL SELECT 'partition', h.inhparent::regclass::text, format('%I.%I', n.nspname, c.relname), pg_get_expr(c.relpartbound, c.oid)
            FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relispartition AND c.relkind IN ('r', 'p') AND {IsOurs}) x
        ORDER BY kind, owner COLLATE "C", name COLLATE "C"
        """;

    public IReadOnlyList<PicturedPart> Of(string kind) => [.. Parts.Where(part => part.Kind == kind)];

    public static async Task<SchemaPicture> ReadAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        var schemas = await RowsAsync(connection, SchemaNames, static row => row.GetString(0), cancellationToken);
        var columns = await RowsAsync(
            connection, Columns,
            static row => (Table: Table(row), Column: new PicturedColumn(
                row.GetString(10), row.GetString(11), row.GetBoolean(12), row.GetBoolean(13), row.GetBoolean(14), row.GetBoolean(15), row.GetBoolean(16), row.GetBoolean(17),
                Text(row, 18), Text(row, 19), row.GetString(20), Text(row, 21), row.GetBoolean(22))),
            cancellationToken);
        var tables = columns.GroupBy(static item => item.Table).Select(static group => group.Key with { Columns = [.. group.Select(static item => item.Column)] }).ToList();
        var parts = await RowsAsync(
            connection, Others, static row => new PicturedPart(row.GetString(0), Text(row, 1) ?? "", row.GetString(2), Text(row, 3) ?? ""), cancellationToken);
        return new SchemaPicture(schemas, tables, parts);
    }

    static PicturedTable Table(NpgsqlDataReader row) => new(
        row.GetString(0), row.GetString(1), row.GetString(2) == "p", row.GetBoolean(3), row.GetBoolean(4), row.GetBoolean(5), row.GetBoolean(6), row.GetBoolean(7), row.GetBoolean(8),
        Text(row, 9), null!);

    static string? Text(NpgsqlDataReader row, int column) => row.IsDBNull(column) ? null : row.GetString(column);

    static async Task<List<T>> RowsAsync<T>(NpgsqlConnection connection, string sql, Func<NpgsqlDataReader, T> read, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var rows = new List<T>();
        while (await reader.ReadAsync(cancellationToken))
            rows.Add(read(reader));
        return rows;
    }
}

/// <summary>A table; its names are quoted where they need to be.</summary>
/// <param name="CanChange">Whether its rows can be updated and deleted: logical decoding needs to tell which one it was.</param>
/// <param name="HasReferences">Whether a foreign key goes from it or to it.</param>
/// <param name="HasViews">Whether a view or a rule reads it.</param>
/// <param name="HasKin">Whether it inherits, or is inherited from.</param>
sealed record PicturedTable(
    string Schema, string Name, bool IsPartitioned, bool IsPartition, bool IsUnlogged, bool CanChange, bool HasReferences, bool HasViews, bool HasKin,
    string? PartitionKey, IReadOnlyList<PicturedColumn> Columns)
{
    public string Full => $"{Schema}.{Name}";

    /// <summary>The one column of the primary key, if it is one.</summary>
    public PicturedColumn? Key => Columns.Where(static column => column.IsKey).ToList() is [var only] ? only : null;

    /// <summary>Columns that commands may take away or give another type.</summary>
    public IReadOnlyList<PicturedColumn> Free => [.. Columns.Where(static column => !column.IsKey && !column.IsInherited && column.Name != "id" && column.References is null)];
}

/// <param name="TypeKind">As in <c>pg_type.typtype</c>.</param>
/// <param name="Label">The first label of an enumeration.</param>
/// <param name="IsUsed">Whether a generated column, a policy or a trigger names it.</param>
sealed record PicturedColumn(
    string Name, string Type, bool NotNull, bool HasDefault, bool IsGenerated, bool IsIdentity, bool IsInherited, bool IsKey, string? References, string? ReferencedColumn,
    string TypeKind, string? Label, bool IsUsed);

/// <param name="Owner">The table that it belongs to; empty for what stands alone.</param>
/// <param name="More">An index: whether it is unique; a constraint: its kind; an enumeration: its labels; a partition: its bound.</param>
sealed record PicturedPart(string Kind, string Owner, string Name, string More);
