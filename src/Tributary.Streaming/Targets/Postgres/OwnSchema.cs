namespace Tributary.Streaming.Targets.Postgres;

/// <summary>What a stream keeps in its target's database, in a schema of its own.</summary>
internal static class OwnSchema
{
    public const string CreateSql =
        $"""
        SET LOCAL client_min_messages = warning;
        CREATE SCHEMA IF NOT EXISTS tributary;
        CREATE TABLE IF NOT EXISTS tributary.progress (
            pipeline text PRIMARY KEY,
            state text NOT NULL CHECK (state IN ('copying', 'streaming')),
            system_identifier text NOT NULL,
            slot_name text NOT NULL,
            commit_end_lsn pg_lsn NOT NULL,
            epoch bigint NOT NULL,
            timeline bigint NOT NULL DEFAULT 0,
            updated_at timestamptz NOT NULL DEFAULT now());
        DO $$ BEGIN
            -- An older version's table lacks the column. ALTER TABLE would wait for every running stream, also where there is nothing to add.
            IF NOT EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE attrelid = 'tributary.progress'::regclass AND attname = 'timeline') THEN
                ALTER TABLE tributary.progress ADD COLUMN timeline bigint NOT NULL DEFAULT 0;
            END IF;
        END $$;
        CREATE TABLE IF NOT EXISTS tributary.copied_object (
            pipeline text NOT NULL,
            classid oid NOT NULL,
            objid oid NOT NULL,
            kind text NOT NULL,
            identity text NOT NULL,
            PRIMARY KEY (pipeline, classid, objid));
        CREATE TABLE IF NOT EXISTS tributary.schema_report (
            pipeline text NOT NULL,
            commit_end_lsn pg_lsn NOT NULL,
            tag text NOT NULL,
            object text NOT NULL,
            why text NOT NULL,
            reported_at timestamptz NOT NULL DEFAULT now());
        {TableShapeRecords.CreateSql}
        CREATE OR REPLACE VIEW tributary.user_object AS {UserObjects};
        CREATE OR REPLACE VIEW tributary.user_object_part AS {Parts};
        """;

    // What can be named in a DROP. Members of an extension, and types that belong to a table, go with what they belong to. Dependencies of columns
    // do not count: those of a partition key depend internally on the table that they are part of.
    const string UserObjects =
        """
        SELECT o.classid, o.objid FROM (
            SELECT 'pg_catalog.pg_namespace'::regclass::oid AS classid, oid AS objid FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_'
            UNION ALL SELECT 'pg_catalog.pg_extension'::regclass, oid FROM pg_catalog.pg_extension
            UNION ALL SELECT 'pg_catalog.pg_class'::regclass, oid FROM pg_catalog.pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND relpersistence <> 't'
            UNION ALL SELECT 'pg_catalog.pg_type'::regclass, t.oid FROM pg_catalog.pg_type t LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid
                WHERE t.typelem = 0 AND t.typtype <> 'm' AND COALESCE(c.relkind, 'c') = 'c'
            UNION ALL SELECT 'pg_catalog.pg_proc'::regclass, oid FROM pg_catalog.pg_proc
            UNION ALL SELECT 'pg_catalog.pg_operator'::regclass, oid FROM pg_catalog.pg_operator
            UNION ALL SELECT 'pg_catalog.pg_opfamily'::regclass, oid FROM pg_catalog.pg_opfamily
            UNION ALL SELECT 'pg_catalog.pg_collation'::regclass, oid FROM pg_catalog.pg_collation
            UNION ALL SELECT 'pg_catalog.pg_cast'::regclass, oid FROM pg_catalog.pg_cast
            UNION ALL SELECT 'pg_catalog.pg_foreign_data_wrapper'::regclass, oid FROM pg_catalog.pg_foreign_data_wrapper
            UNION ALL SELECT 'pg_catalog.pg_foreign_server'::regclass, oid FROM pg_catalog.pg_foreign_server
            UNION ALL SELECT 'pg_catalog.pg_ts_config'::regclass, oid FROM pg_catalog.pg_ts_config
            UNION ALL SELECT 'pg_catalog.pg_ts_dict'::regclass, oid FROM pg_catalog.pg_ts_dict) o
        WHERE o.objid >= 16384 AND NOT EXISTS (
            SELECT FROM pg_catalog.pg_depend d WHERE (d.classid, d.objid, d.objsubid) = (o.classid, o.objid, 0) AND d.deptype IN ('e', 'i'))
        """;

    // What a relation can lose while it stays.
    const string Parts =
        """
        SELECT attrelid AS relation, 'pg_catalog.pg_class'::regclass::oid AS classid, attrelid AS objid, attnum::int AS objsubid
            FROM pg_catalog.pg_attribute WHERE attnum > 0 AND NOT attisdropped AND attrelid >= 16384
        UNION ALL SELECT conrelid, 'pg_catalog.pg_constraint'::regclass, oid, 0 FROM pg_catalog.pg_constraint WHERE conrelid >= 16384
        UNION ALL SELECT adrelid, 'pg_catalog.pg_attrdef'::regclass, oid, 0 FROM pg_catalog.pg_attrdef
        UNION ALL SELECT tgrelid, 'pg_catalog.pg_trigger'::regclass, oid, 0 FROM pg_catalog.pg_trigger WHERE NOT tgisinternal
        UNION ALL SELECT polrelid, 'pg_catalog.pg_policy'::regclass, oid, 0 FROM pg_catalog.pg_policy
        UNION ALL SELECT ev_class, 'pg_catalog.pg_rewrite'::regclass, oid, 0 FROM pg_catalog.pg_rewrite WHERE ev_class >= 16384
        UNION ALL SELECT indrelid, 'pg_catalog.pg_class'::regclass, indexrelid, 0 FROM pg_catalog.pg_index WHERE indrelid >= 16384
        """;
}
