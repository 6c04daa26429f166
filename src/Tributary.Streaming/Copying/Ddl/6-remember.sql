-- Each command that has been described holds this lock until its transaction ends, so none is between its change and what it remembers.
SET LOCAL client_min_messages = warning;
-- Every later command waits behind this one, so it does not wait for long.
SET LOCAL lock_timeout = '500ms';
LOCK TABLE tributary.ddl_setting IN ACCESS EXCLUSIVE MODE;

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
