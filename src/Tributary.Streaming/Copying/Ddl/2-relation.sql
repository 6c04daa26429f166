-- A table, view, materialized view, sequence or foreign table with everything that belongs to it. Parts are kept by their numbers, so that a
-- renamed part is known from a dropped and a new one.
CREATE OR REPLACE FUNCTION tributary.ddl_columns(relation oid, relkind "char") RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $f$
    SELECT COALESCE(jsonb_object_agg(a.attnum, jsonb_strip_nulls(jsonb_build_object(
        'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'type_id', a.atttypid, 'modifier', a.atttypmod,
        'collation', CASE WHEN a.attcollation <> t.typcollation THEN tributary.ddl_name(co.collnamespace, co.collname) END,
        'not_null', a.attnotnull,
        'not_null_name', (SELECT k.conname FROM pg_constraint k WHERE k.conrelid = relation AND k.contype = 'n' AND k.conkey = ARRAY[a.attnum]),
        'default', pg_get_expr(d.adbin, d.adrelid),
        'generated', NULLIF(a.attgenerated::text, ''),
        'identity', NULLIF(a.attidentity::text, ''),
        'sequence', CASE WHEN a.attidentity <> '' AND NOT (a.attinhcount > 0 AND NOT a.attislocal) THEN tributary.ddl_sequence(
            (SELECT s.objid FROM pg_depend s WHERE s.refclassid = 'pg_class'::regclass AND s.refobjid = relation AND s.refobjsubid = a.attnum
                AND s.classid = 'pg_class'::regclass AND s.deptype = 'i' LIMIT 1)) END,
        'missing', CASE WHEN a.atthasmissing THEN (a.attmissingval::text::text[])[1] END,
        'storage', CASE WHEN a.attstorage <> t.typstorage OR relkind IN ('r', 'p') THEN
            CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END END,
        'usual_storage', CASE t.typstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END,
        'compression', CASE to_jsonb(a) ->> 'attcompression' WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END,
        'statistics', NULLIF(a.attstattarget, -1),
        -- Since the minor releases of November 2026 a server keeps a version of its own there (15.20), which is nobody's setting.
        'options', (SELECT to_jsonb(array_agg(o ORDER BY o)) FROM unnest(a.attoptions) o WHERE o NOT LIKE 'pg_attver=%'),
        'fdw_options', tributary.ddl_fdw_options(a.attfdwoptions),
        'local', a.attislocal, 'inherited', a.attinhcount > 0,
        'comment', col_description(relation, a.attnum),
        'grants', CASE WHEN a.attacl IS NOT NULL THEN tributary.ddl_grants(
            relation::regclass::text, format(' (%I)', a.attname), '', a.attacl, 'c', (SELECT relowner FROM pg_class WHERE oid = relation)) END))), '{}')
    FROM pg_attribute a
    JOIN pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    LEFT JOIN pg_collation co ON co.oid = a.attcollation
    WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped
$f$;

CREATE OR REPLACE FUNCTION tributary.ddl_sequence(sequence oid) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $f$
    SELECT jsonb_build_object(
        'name', tributary.ddl_name(c.relnamespace, c.relname), 'own_name', c.relname, 'schema', (SELECT nspname FROM pg_namespace WHERE oid = c.relnamespace), 'type', format_type(s.seqtypid, NULL),
        'options', format('INCREMENT BY %s MINVALUE %s MAXVALUE %s START WITH %s CACHE %s %s', s.seqincrement, s.seqmin, s.seqmax, s.seqstart, s.seqcache,
            CASE WHEN s.seqcycle THEN 'CYCLE' ELSE 'NO CYCLE' END),
        'owned_by', (SELECT format('%s.%I', d.refobjid::regclass, a.attname) FROM pg_depend d
            JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
            WHERE d.classid = 'pg_class'::regclass AND d.objid = sequence AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'a'),
        'grants', tributary.ddl_grants('SEQUENCE ' || tributary.ddl_name(c.relnamespace, c.relname), '', '', c.relacl, 's', c.relowner))
    FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid WHERE s.seqrelid = sequence
$f$;

CREATE OR REPLACE FUNCTION tributary.ddl_constraints(relation oid) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $f$
    SELECT COALESCE(jsonb_object_agg(k.oid, jsonb_strip_nulls(jsonb_build_object(
        'name', k.conname, 'type', k.contype, 'definition', pg_get_constraintdef(k.oid), 'local', k.conislocal, 'inherited', k.coninhcount > 0,
        'parent', NULLIF(k.conparentid, 0), 'validated', k.convalidated, 'deferrable', k.condeferrable, 'deferred', k.condeferred,
        'references', CASE WHEN k.contype = 'f' THEN k.confrelid END, 'index', NULLIF(k.conindid, 0),
        'comment', obj_description(k.oid, 'pg_constraint')))), '{}')
    FROM pg_constraint k WHERE k.conrelid = relation AND k.contype IN ('c', 'f', 'p', 'u', 'x')
$f$;

-- An index that a failed concurrent build has left is none; a partitioned table's index is not valid before all its parts are attached.
CREATE OR REPLACE FUNCTION tributary.ddl_indexes(relation oid) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $f$
    SELECT COALESCE(jsonb_object_agg(i.indexrelid, jsonb_strip_nulls(jsonb_build_object(
        'name', c.relname, 'schema', n.nspname, 'definition', pg_get_indexdef(i.indexrelid), 'constraint', k.oid,
        'parent', (SELECT tributary.ddl_name(pc.relnamespace, pc.relname) FROM pg_inherits h JOIN pg_class pc ON pc.oid = h.inhparent WHERE h.inhrelid = i.indexrelid),
        'clustered', i.indisclustered, 'replica_identity', i.indisreplident, 'options', to_jsonb(c.reloptions),
        'tablespace', (SELECT spcname FROM pg_tablespace WHERE oid = c.reltablespace),
        'statistics', (SELECT jsonb_object_agg(a.attnum, a.attstattarget) FROM pg_attribute a WHERE a.attrelid = i.indexrelid AND a.attstattarget >= 0),
        'comment', obj_description(i.indexrelid, 'pg_class')))), '{}')
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x') AND k.conrelid = relation
    WHERE i.indrelid = relation AND (i.indisvalid OR c.relkind = 'I')
$f$;

CREATE OR REPLACE FUNCTION tributary.ddl_attached(relation oid) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $f$
    SELECT jsonb_build_object(
        'triggers', (SELECT COALESCE(jsonb_object_agg(t.oid, jsonb_strip_nulls(jsonb_build_object(
                'name', t.tgname, 'definition', pg_get_triggerdef(t.oid), 'enabled', t.tgenabled, 'comment', obj_description(t.oid, 'pg_trigger')))), '{}')
            FROM pg_trigger t WHERE t.tgrelid = relation AND NOT t.tgisinternal AND t.tgparentid = 0),
        'rules', (SELECT COALESCE(jsonb_object_agg(r.oid, jsonb_strip_nulls(jsonb_build_object(
                'name', r.rulename, 'definition', rtrim(pg_get_ruledef(r.oid), ';'), 'enabled', r.ev_enabled, 'comment', obj_description(r.oid, 'pg_rewrite')))), '{}')
            FROM pg_rewrite r WHERE r.ev_class = relation AND r.rulename <> '_RETURN'),
        'policies', (SELECT COALESCE(jsonb_object_agg(p.oid, jsonb_strip_nulls(jsonb_build_object(
                'name', p.polname, 'roles', (SELECT to_jsonb(array_agg(rolname::text ORDER BY rolname)) FROM pg_roles WHERE oid = ANY (p.polroles)),
                'definition', format('CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s', p.polname, relation::regclass,
                    CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
                    CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
                    (SELECT string_agg(CASE x WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x)) END, ', ') FROM unnest(p.polroles) x),
                    ' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')', ' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')'),
                'comment', obj_description(p.oid, 'pg_policy')))), '{}')
            FROM pg_policy p WHERE p.polrelid = relation))
$f$;

CREATE OR REPLACE FUNCTION tributary.ddl_relation(relation oid) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $f$
    SELECT jsonb_strip_nulls(jsonb_build_object(
        'class', 'relation', 'kind', c.relkind, 'schema', n.nspname, 'name', c.relname, 'identity', format('%I.%I', n.nspname, c.relname),
        'owner', pg_get_userbyid(c.relowner), 'persistence', c.relpersistence, 'options', to_jsonb(c.reloptions),
        'toast_options', (SELECT to_jsonb(x.reloptions) FROM pg_class x WHERE x.oid = c.reltoastrelid),
        'access_method', (SELECT amname FROM pg_am WHERE oid = c.relam), 'tablespace', (SELECT spcname FROM pg_tablespace WHERE oid = c.reltablespace),
        'replica_identity', c.relreplident, 'row_security', c.relrowsecurity, 'force_row_security', c.relforcerowsecurity,
        'of_type', CASE WHEN c.reloftype <> 0 THEN format_type(c.reloftype, NULL) END,
        'partition_key', CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END,
        'partition_bound', CASE WHEN c.relispartition THEN pg_get_expr(c.relpartbound, c.oid) END,
        'parents', (SELECT jsonb_agg(jsonb_build_object('id', h.inhparent, 'name', h.inhparent::regclass::text) ORDER BY h.inhseqno) FROM pg_inherits h WHERE h.inhrelid = c.oid),
        'comment', obj_description(c.oid, 'pg_class'),
        'grants', tributary.ddl_grants(CASE c.relkind WHEN 'S' THEN 'SEQUENCE ' ELSE 'TABLE ' END || format('%I.%I', n.nspname, c.relname), '', '', c.relacl,
            CASE c.relkind WHEN 'S' THEN 's'::"char" ELSE 'r'::"char" END, c.relowner),
        'sequence', CASE WHEN c.relkind = 'S' THEN tributary.ddl_sequence(c.oid) END,
        'definition', CASE WHEN c.relkind IN ('v', 'm') THEN rtrim(pg_get_viewdef(c.oid), ';') END,
        'populated', CASE WHEN c.relkind = 'm' THEN c.relispopulated END,
        'server', (SELECT srvname FROM pg_foreign_table f JOIN pg_foreign_server s ON s.oid = f.ftserver WHERE f.ftrelid = c.oid),
        'fdw_options', (SELECT tributary.ddl_fdw_options(ftoptions) FROM pg_foreign_table f WHERE f.ftrelid = c.oid),
        'columns', CASE WHEN c.relkind <> 'S' THEN tributary.ddl_columns(c.oid, c.relkind) END,
        'constraints', tributary.ddl_constraints(c.oid),
        'indexes', tributary.ddl_indexes(c.oid))) || tributary.ddl_attached(c.oid)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = relation AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
$f$;
