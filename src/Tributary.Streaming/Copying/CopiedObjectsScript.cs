using Tributary.Postgres;

namespace Tributary.Streaming.Copying;

/// <summary>Brackets the restore of a schema, to record which objects it made: the difference of the catalogs before and after.</summary>
internal static class CopiedObjectsScript
{
    // Members of an extension, and types that belong to a table, go with what they belong to.
    const string Objects =
        """
        SELECT o.classid, o.objid FROM (
            SELECT 'pg_catalog.pg_namespace'::regclass::oid AS classid, oid AS objid FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_'
            UNION ALL SELECT 'pg_catalog.pg_extension'::regclass, oid FROM pg_catalog.pg_extension
            UNION ALL SELECT 'pg_catalog.pg_class'::regclass, oid FROM pg_catalog.pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND relpersistence <> 't'
            UNION ALL SELECT 'pg_catalog.pg_type'::regclass, t.oid FROM pg_catalog.pg_type t LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid
                WHERE t.typelem = 0 AND t.typtype <> 'm' AND COALESCE(c.relkind, 'c') = 'c'
            UNION ALL SELECT 'pg_catalog.pg_proc'::regclass, oid FROM pg_catalog.pg_proc
            UNION ALL SELECT 'pg_catalog.pg_operator'::regclass, oid FROM pg_catalog.pg_operator
            UNION ALL SELECT 'pg_catalog.pg_collation'::regclass, oid FROM pg_catalog.pg_collation
            UNION ALL SELECT 'pg_catalog.pg_cast'::regclass, oid FROM pg_catalog.pg_cast
            UNION ALL SELECT 'pg_catalog.pg_ts_config'::regclass, oid FROM pg_catalog.pg_ts_config
            UNION ALL SELECT 'pg_catalog.pg_ts_dict'::regclass, oid FROM pg_catalog.pg_ts_dict) o
        WHERE o.objid >= 16384 AND NOT EXISTS (
            SELECT FROM pg_catalog.pg_depend d WHERE d.classid = o.classid AND d.objid = o.objid AND d.deptype IN ('e', 'i'))
        """;

    public const string Before = $"CREATE TEMPORARY TABLE tributary_before AS {Objects};";

    public static string After(string pipeline) =>
        $"""

        INSERT INTO tributary.copied_object (pipeline, kind, identity)
        SELECT {SqlQuoting.Literal(pipeline)}, i.type, i.identity
        FROM ({Objects} EXCEPT SELECT classid, objid FROM pg_temp.tributary_before) made,
            LATERAL pg_catalog.pg_identify_object(made.classid, made.objid, 0) i
        ON CONFLICT DO NOTHING;
        DROP TABLE pg_temp.tributary_before;
        """;
}
