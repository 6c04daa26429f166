DROP EVENT TRIGGER IF EXISTS tributary_ddl_end;
DROP EVENT TRIGGER IF EXISTS tributary_ddl_drop;
DROP EVENT TRIGGER IF EXISTS tributary_ddl_rewrite;
CREATE EVENT TRIGGER tributary_ddl_rewrite ON table_rewrite EXECUTE FUNCTION tributary.ddl_capture();
CREATE EVENT TRIGGER tributary_ddl_drop ON sql_drop EXECUTE FUNCTION tributary.ddl_capture();
CREATE EVENT TRIGGER tributary_ddl_end ON ddl_command_end EXECUTE FUNCTION tributary.ddl_capture();
-- Also in sessions that apply a stream or a dump as a replica, since their rows are decoded too.
ALTER EVENT TRIGGER tributary_ddl_rewrite ENABLE ALWAYS;
ALTER EVENT TRIGGER tributary_ddl_drop ENABLE ALWAYS;
ALTER EVENT TRIGGER tributary_ddl_end ENABLE ALWAYS;

-- What there is, as it is now.
TRUNCATE tributary.ddl_state, tributary.ddl_index, tributary.ddl_rewrite;
SELECT pg_catalog.count(tributary.ddl_remember(w.classid, w.objid, w.state)) FROM (
    SELECT a.classid, a.objid, tributary.ddl_describe(a.classid, a.objid) AS state FROM (
        SELECT DISTINCT (tributary.ddl_whole(x.classid, x.objid)).* FROM (
            SELECT 'pg_catalog.pg_class'::regclass::oid AS classid, oid AS objid FROM pg_catalog.pg_class
            UNION ALL SELECT 'pg_catalog.pg_type'::regclass, oid FROM pg_catalog.pg_type
            UNION ALL SELECT 'pg_catalog.pg_proc'::regclass, oid FROM pg_catalog.pg_proc
            UNION ALL SELECT 'pg_catalog.pg_namespace'::regclass, oid FROM pg_catalog.pg_namespace
            UNION ALL SELECT 'pg_catalog.pg_extension'::regclass, oid FROM pg_catalog.pg_extension
            UNION ALL SELECT 'pg_catalog.pg_statistic_ext'::regclass, oid FROM pg_catalog.pg_statistic_ext
            UNION ALL SELECT 'pg_catalog.pg_publication'::regclass, oid FROM pg_catalog.pg_publication
            UNION ALL SELECT 'pg_catalog.pg_collation'::regclass, oid FROM pg_catalog.pg_collation
            UNION ALL SELECT 'pg_catalog.pg_cast'::regclass, oid FROM pg_catalog.pg_cast
            UNION ALL SELECT 'pg_catalog.pg_operator'::regclass, oid FROM pg_catalog.pg_operator
            UNION ALL SELECT 'pg_catalog.pg_ts_dict'::regclass, oid FROM pg_catalog.pg_ts_dict
            UNION ALL SELECT 'pg_catalog.pg_ts_config'::regclass, oid FROM pg_catalog.pg_ts_config
            UNION ALL SELECT 'pg_catalog.pg_foreign_data_wrapper'::regclass, oid FROM pg_catalog.pg_foreign_data_wrapper
            UNION ALL SELECT 'pg_catalog.pg_foreign_server'::regclass, oid FROM pg_catalog.pg_foreign_server
            UNION ALL SELECT 'pg_catalog.pg_default_acl'::regclass, oid FROM pg_catalog.pg_default_acl) x
        WHERE x.objid >= 16384 OR x.classid = 'pg_catalog.pg_namespace'::regclass) a
    WHERE a.objid IS NOT NULL) w WHERE w.state IS NOT NULL;
