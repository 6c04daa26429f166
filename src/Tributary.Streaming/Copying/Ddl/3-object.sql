-- Every other kind of object: how it is made, and its parts, each with what sets it and what takes it away.
-- mode: 'replace' makes it anew over the old one, 'recreate' drops it first, 'parts' alters only the parts.
CREATE OR REPLACE FUNCTION tributary.ddl_object_state(
    kind text, schema text, name text, identity text, mode text, made text, owner oid, parts jsonb, classid oid, objid oid) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $f$
    -- No row, and so null, for what cannot be made from a description.
    SELECT jsonb_strip_nulls(jsonb_build_object(
        'class', 'object', 'kind', kind, 'schema', schema, 'name', name, 'identity', identity, 'mode', mode, 'create', made,
        'owner', CASE WHEN owner <> 0 THEN pg_get_userbyid(owner) END,
        'parts', COALESCE(parts, '{}') || tributary.ddl_comment(kind, identity, classid, objid))) WHERE made IS NOT NULL
$f$;

CREATE OR REPLACE FUNCTION tributary.ddl_type(typeid oid) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $f$
    SELECT tributary.ddl_object_state(
        CASE t.typtype WHEN 'd' THEN 'DOMAIN' ELSE 'TYPE' END, n.nspname, t.typname, i.identity, 'parts',
        CASE t.typtype
            WHEN 'e' THEN format('CREATE TYPE %s AS ENUM (%s)', i.identity, (SELECT string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid))
            WHEN 'd' THEN format('CREATE DOMAIN %s AS %s%s', i.identity, format_type(t.typbasetype, t.typtypmod),
                (SELECT ' COLLATE ' || tributary.ddl_name(co.collnamespace, co.collname) FROM pg_collation co JOIN pg_type b ON b.oid = t.typbasetype
                    WHERE co.oid = t.typcollation AND b.typcollation <> t.typcollation))
            WHEN 'c' THEN format('CREATE TYPE %s AS (%s)', i.identity, (SELECT string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum)
                FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped))
            WHEN 'r' THEN (SELECT format('CREATE TYPE %s AS RANGE (SUBTYPE = %s%s%s%s)', i.identity, format_type(r.rngsubtype, NULL),
                ', SUBTYPE_OPCLASS = ' || (SELECT tributary.ddl_name(opcnamespace, opcname) FROM pg_opclass WHERE oid = r.rngsubopc AND NOT opcdefault),
                ', SUBTYPE_DIFF = ' || NULLIF(r.rngsubdiff, 0)::regproc::text,
                ', MULTIRANGE_TYPE_NAME = ' || format_type((to_jsonb(r) ->> 'rngmultitypid')::oid, NULL)) FROM pg_range r WHERE r.rngtypid = t.oid)
        END,
        t.typowner,
        tributary.ddl_grants('TYPE ' || i.identity, '', '', t.typacl, 'T', t.typowner) || CASE WHEN t.typtype = 'd' THEN
            CASE WHEN t.typnotnull THEN jsonb_build_object('not null', jsonb_build_object(
                'set', format('ALTER DOMAIN %s SET NOT NULL', i.identity), 'unset', format('ALTER DOMAIN %s DROP NOT NULL', i.identity))) ELSE '{}' END ||
            CASE WHEN t.typdefault IS NOT NULL THEN jsonb_build_object('default', jsonb_build_object(
                'set', format('ALTER DOMAIN %s SET DEFAULT %s', i.identity, COALESCE(pg_get_expr(t.typdefaultbin, 0), quote_literal(t.typdefault))),
                'unset', format('ALTER DOMAIN %s DROP DEFAULT', i.identity))) ELSE '{}' END ||
            COALESCE((SELECT jsonb_object_agg('constraint:' || k.conname, jsonb_build_object(
                'set', format('ALTER DOMAIN %s ADD CONSTRAINT %I %s', i.identity, k.conname, pg_get_constraintdef(k.oid)),
                'unset', format('ALTER DOMAIN %s DROP CONSTRAINT %I', i.identity, k.conname))) FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c'), '{}')
            ELSE '{}' END,
        'pg_type'::regclass, t.oid) ||
        CASE t.typtype
            WHEN 'e' THEN jsonb_build_object('labels', (SELECT jsonb_agg(jsonb_build_object('id', oid, 'label', enumlabel) ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid))
            WHEN 'c' THEN jsonb_build_object('columns', tributary.ddl_columns(t.typrelid, 'c'))
            ELSE '{}' END
    FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace, LATERAL pg_identify_object('pg_type'::regclass, t.oid, 0) i
    WHERE t.oid = typeid AND t.typtype IN ('e', 'd', 'c', 'r')
$f$;

CREATE OR REPLACE FUNCTION tributary.ddl_function(function oid) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $f$
    SELECT tributary.ddl_object_state(
        k.kind, n.nspname, p.proname, k.identity, 'replace',
        CASE WHEN p.prokind <> 'a' THEN rtrim(pg_get_functiondef(p.oid), E'\n') ELSE (
            SELECT format('CREATE OR REPLACE AGGREGATE %s (SFUNC = %s, STYPE = %s%s%s%s%s%s)', k.identity, g.aggtransfn::regproc, format_type(g.aggtranstype, NULL),
                CASE WHEN g.aggtransspace <> 0 THEN format(', SSPACE = %s', g.aggtransspace) END,
                CASE WHEN g.aggfinalfn <> 0 THEN format(', FINALFUNC = %s%s', g.aggfinalfn::regproc, CASE WHEN g.aggfinalextra THEN ', FINALFUNC_EXTRA' ELSE '' END) END,
                CASE WHEN g.aggcombinefn <> 0 THEN format(', COMBINEFUNC = %s', g.aggcombinefn::regproc) END,
                CASE WHEN g.agginitval IS NOT NULL THEN format(', INITCOND = %L', g.agginitval) END,
                CASE p.proparallel WHEN 's' THEN ', PARALLEL = SAFE' WHEN 'r' THEN ', PARALLEL = RESTRICTED' END)
            FROM pg_aggregate g WHERE g.aggfnoid = p.oid AND g.aggkind = 'n' AND g.aggmtransfn = 0) END,
        p.proowner, tributary.ddl_grants(k.kind || ' ' || k.identity, '', '', p.proacl, 'f', p.proowner), 'pg_proc'::regclass, p.oid)
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace,
        LATERAL (SELECT CASE p.prokind WHEN 'p' THEN 'PROCEDURE' WHEN 'a' THEN 'AGGREGATE' ELSE 'FUNCTION' END AS kind, i.identity
            FROM pg_identify_object('pg_proc'::regclass, p.oid, 0) i) k
    WHERE p.oid = function
$f$;

-- Null where this kind of object is not carried.
CREATE OR REPLACE FUNCTION tributary.ddl_other(classid oid, objid oid) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $f$
DECLARE
    identity text;
    state jsonb;
BEGIN
    SELECT i.identity INTO identity FROM pg_identify_object(classid, objid, 0) i;
    CASE classid
    WHEN 'pg_namespace'::regclass THEN
        SELECT tributary.ddl_object_state('SCHEMA', NULL, nspname, identity, 'parts', 'CREATE SCHEMA IF NOT EXISTS ' || identity, nspowner,
            tributary.ddl_grants('SCHEMA ' || identity, '', '', nspacl, 'n', nspowner), classid, objid) INTO state FROM pg_namespace WHERE oid = objid;
    WHEN 'pg_extension'::regclass THEN
        SELECT tributary.ddl_object_state('EXTENSION', NULL, e.extname, identity, 'parts',
            format('CREATE EXTENSION IF NOT EXISTS %s WITH SCHEMA %I VERSION %L', identity, n.nspname, e.extversion), 0,
            jsonb_build_object('version', jsonb_build_object('set', format('ALTER EXTENSION %s UPDATE TO %L', identity, e.extversion))) ||
            CASE WHEN e.extrelocatable THEN jsonb_build_object('schema', jsonb_build_object('set', format('ALTER EXTENSION %s SET SCHEMA %I', identity, n.nspname))) ELSE '{}' END,
            classid, objid) INTO state FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.oid = objid;
    WHEN 'pg_statistic_ext'::regclass THEN
        SELECT tributary.ddl_object_state('STATISTICS', n.nspname, s.stxname, identity, 'recreate', pg_get_statisticsobjdef(objid), s.stxowner,
            CASE WHEN s.stxstattarget >= 0 THEN jsonb_build_object('target', jsonb_build_object(
                'set', format('ALTER STATISTICS %s SET STATISTICS %s', identity, s.stxstattarget), 'unset', format('ALTER STATISTICS %s SET STATISTICS -1', identity))) END,
            classid, objid) INTO state FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace WHERE s.oid = objid;
    WHEN 'pg_publication'::regclass THEN
        SELECT tributary.ddl_object_state('PUBLICATION', NULL, p.pubname, identity, 'recreate', format('CREATE PUBLICATION %s%s WITH (publish = %L, publish_via_partition_root = %s)', identity,
            CASE WHEN p.puballtables THEN ' FOR ALL TABLES' ELSE (' FOR ' || NULLIF(concat_ws(', ', tributary.ddl_published_schemas(objid), tributary.ddl_published_tables(objid)), '')) END,
            concat_ws(', ', CASE WHEN p.pubinsert THEN 'insert' END, CASE WHEN p.pubupdate THEN 'update' END, CASE WHEN p.pubdelete THEN 'delete' END, CASE WHEN p.pubtruncate THEN 'truncate' END),
            p.pubviaroot::text), p.pubowner, NULL, classid, objid) INTO state FROM pg_publication p WHERE p.oid = objid;
    WHEN 'pg_default_acl'::regclass THEN
        SELECT jsonb_build_object('class', 'object', 'kind', 'DEFAULT PRIVILEGES', 'name', identity, 'identity', identity, 'mode', 'parts', 'parts', tributary.ddl_grants(
            CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS' WHEN 'T' THEN 'TYPES' WHEN 'n' THEN 'SCHEMAS' ELSE 'LARGE OBJECTS' END, '',
            format('ALTER DEFAULT PRIVILEGES FOR ROLE %I%s ', pg_get_userbyid(d.defaclrole), ' IN SCHEMA ' || quote_ident((SELECT nspname FROM pg_namespace WHERE oid = d.defaclnamespace))),
            d.defaclacl, CASE WHEN d.defaclnamespace <> 0 THEN 'c' WHEN d.defaclobjtype = 'S' THEN 's' ELSE d.defaclobjtype END, d.defaclrole)) INTO state FROM pg_default_acl d WHERE d.oid = objid;
    WHEN 'pg_collation'::regclass THEN
        SELECT tributary.ddl_object_state('COLLATION', n.nspname, c.collname, identity, 'recreate', format('CREATE COLLATION %s (PROVIDER = %s, DETERMINISTIC = %s, %s)', identity,
            CASE c.collprovider WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' ELSE 'libc' END, c.collisdeterministic::text,
            COALESCE((SELECT format('LOCALE = %L', COALESCE(to_jsonb(c) ->> 'colllocale', to_jsonb(c) ->> 'colliculocale')) WHERE to_jsonb(c) ->> 'colllocale' IS NOT NULL OR to_jsonb(c) ->> 'colliculocale' IS NOT NULL),
                format('LC_COLLATE = %L, LC_CTYPE = %L', c.collcollate, c.collctype))), c.collowner, NULL, classid, objid) INTO state
        FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace WHERE c.oid = objid;
    WHEN 'pg_cast'::regclass THEN
        SELECT tributary.ddl_object_state('CAST', NULL, identity, identity, 'recreate', format('CREATE CAST %s %s%s', identity,
            CASE castmethod WHEN 'f' THEN 'WITH FUNCTION ' || castfunc::regprocedure WHEN 'i' THEN 'WITH INOUT' ELSE 'WITHOUT FUNCTION' END,
            CASE castcontext WHEN 'a' THEN ' AS ASSIGNMENT' WHEN 'i' THEN ' AS IMPLICIT' ELSE '' END), 0, NULL, classid, objid) INTO state FROM pg_cast WHERE oid = objid;
        state := jsonb_set(state, '{identity}', to_jsonb(identity));
    WHEN 'pg_operator'::regclass THEN
        SELECT tributary.ddl_object_state('OPERATOR', n.nspname, o.oprname, format('%I.%s (%s, %s)', n.nspname, o.oprname,
                COALESCE(format_type(NULLIF(o.oprleft, 0), NULL), 'NONE'), format_type(o.oprright, NULL)), 'recreate',
            format('CREATE OPERATOR %I.%s (FUNCTION = %s%s, RIGHTARG = %s%s%s%s%s%s%s)', n.nspname, o.oprname, o.oprcode::regproc,
                ', LEFTARG = ' || format_type(NULLIF(o.oprleft, 0), NULL), format_type(o.oprright, NULL),
                (SELECT format(', COMMUTATOR = OPERATOR(%s)', tributary.ddl_operator(c.oprnamespace, c.oprname)) FROM pg_operator c WHERE c.oid = o.oprcom),
                (SELECT format(', NEGATOR = OPERATOR(%s)', tributary.ddl_operator(c.oprnamespace, c.oprname)) FROM pg_operator c WHERE c.oid = o.oprnegate),
                CASE WHEN o.oprrest <> 0 THEN format(', RESTRICT = %s', o.oprrest) END, CASE WHEN o.oprjoin <> 0 THEN format(', JOIN = %s', o.oprjoin) END,
                CASE WHEN o.oprcanhash THEN ', HASHES' END, CASE WHEN o.oprcanmerge THEN ', MERGES' END), o.oprowner, NULL, classid, objid) INTO state
        FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace WHERE o.oid = objid;
    WHEN 'pg_ts_dict'::regclass THEN
        SELECT tributary.ddl_object_state('TEXT SEARCH DICTIONARY', n.nspname, d.dictname, identity, 'recreate', format('CREATE TEXT SEARCH DICTIONARY %s (TEMPLATE = %s%s)', identity,
            (SELECT tributary.ddl_name(tmplnamespace, tmplname) FROM pg_ts_template WHERE oid = d.dicttemplate), ', ' || d.dictinitoption), d.dictowner, NULL, classid, objid) INTO state
        FROM pg_ts_dict d JOIN pg_namespace n ON n.oid = d.dictnamespace WHERE d.oid = objid;
    WHEN 'pg_ts_config'::regclass THEN
        SELECT tributary.ddl_object_state('TEXT SEARCH CONFIGURATION', n.nspname, c.cfgname, identity, 'parts', format('CREATE TEXT SEARCH CONFIGURATION %s (PARSER = %s)', identity,
                (SELECT tributary.ddl_name(prsnamespace, prsname) FROM pg_ts_parser WHERE oid = c.cfgparser)), c.cfgowner,
            (SELECT jsonb_object_agg('mapping:' || m.alias, jsonb_build_object(
                'set', format('ALTER TEXT SEARCH CONFIGURATION %s ADD MAPPING FOR %I WITH %s', identity, m.alias, m.dictionaries),
                'unset', format('ALTER TEXT SEARCH CONFIGURATION %s DROP MAPPING FOR %I', identity, m.alias))) FROM (
                SELECT t.alias, string_agg(x.mapdict::regdictionary::text, ', ' ORDER BY x.mapseqno) AS dictionaries
                FROM pg_ts_config_map x JOIN ts_token_type(c.cfgparser) t ON t.tokid = x.maptokentype WHERE x.mapcfg = c.oid GROUP BY t.alias) m), classid, objid) INTO state
        FROM pg_ts_config c JOIN pg_namespace n ON n.oid = c.cfgnamespace WHERE c.oid = objid;
    WHEN 'pg_foreign_data_wrapper'::regclass THEN
        SELECT tributary.ddl_object_state('FOREIGN DATA WRAPPER', NULL, f.fdwname, identity, 'recreate', format('CREATE FOREIGN DATA WRAPPER %s%s%s%s', identity,
            CASE WHEN f.fdwhandler <> 0 THEN ' HANDLER ' || f.fdwhandler::regproc END, CASE WHEN f.fdwvalidator <> 0 THEN ' VALIDATOR ' || f.fdwvalidator::regproc END,
            ' OPTIONS (' || tributary.ddl_fdw_options(f.fdwoptions) || ')'), f.fdwowner, tributary.ddl_grants('FOREIGN DATA WRAPPER ' || identity, '', '', f.fdwacl, 'F', f.fdwowner), classid, objid)
        INTO state FROM pg_foreign_data_wrapper f WHERE f.oid = objid;
    WHEN 'pg_foreign_server'::regclass THEN
        SELECT tributary.ddl_object_state('SERVER', NULL, s.srvname, identity, 'recreate', format('CREATE SERVER %s%s%s FOREIGN DATA WRAPPER %I%s', identity,
            ' TYPE ' || quote_literal(s.srvtype), ' VERSION ' || quote_literal(s.srvversion), f.fdwname,
            ' OPTIONS (' || tributary.ddl_fdw_options(s.srvoptions) || ')'), s.srvowner, tributary.ddl_grants('FOREIGN SERVER ' || identity, '', '', s.srvacl, 'S', s.srvowner), classid, objid)
        INTO state FROM pg_foreign_server s JOIN pg_foreign_data_wrapper f ON f.oid = s.srvfdw WHERE s.oid = objid;
    ELSE
        NULL;
    END CASE;
    RETURN state;
END
$f$;

CREATE OR REPLACE FUNCTION tributary.ddl_operator(namespace oid, name name) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $f$
    SELECT format('%I.%s', nspname, name) FROM pg_namespace WHERE oid = namespace
$f$;

-- Row filters, column lists and whole schemas exist from Postgres 15 on.
CREATE OR REPLACE FUNCTION tributary.ddl_published_tables(publication oid) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $f$
DECLARE
    answer text;
BEGIN
    IF current_setting('server_version_num')::int < 150000 THEN
        SELECT string_agg(format('TABLE ONLY %s', r.prrelid::regclass), ', ' ORDER BY r.prrelid::regclass::text) INTO answer FROM pg_publication_rel r WHERE r.prpubid = publication;
        RETURN answer;
    END IF;
    EXECUTE $q$
        SELECT string_agg(format('TABLE ONLY %s%s%s', r.prrelid::regclass,
            (SELECT format(' (%s)', string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)) FROM pg_attribute a
                WHERE a.attrelid = r.prrelid AND a.attnum = ANY (r.prattrs) HAVING count(*) > 0),
            ' WHERE (' || pg_get_expr(r.prqual, r.prrelid) || ')'), ', ' ORDER BY r.prrelid::regclass::text)
        FROM pg_publication_rel r WHERE r.prpubid = $1 $q$ INTO answer USING publication;
    RETURN answer;
END
$f$;

CREATE OR REPLACE FUNCTION tributary.ddl_published_schemas(publication oid) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $f$
DECLARE
    answer text;
BEGIN
    IF current_setting('server_version_num')::int >= 150000 THEN
        SELECT string_agg(format('TABLES IN SCHEMA %I', n.nspname), ', ' ORDER BY n.nspname) INTO answer
        FROM pg_publication_namespace r JOIN pg_namespace n ON n.oid = r.pnnspid WHERE r.pnpubid = publication;
    END IF;
    RETURN answer;
END
$f$;

CREATE OR REPLACE FUNCTION tributary.ddl_describe(classid oid, objid oid) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $f$
    SELECT CASE classid
        WHEN 'pg_class'::regclass THEN tributary.ddl_relation(objid)
        WHEN 'pg_type'::regclass THEN tributary.ddl_type(objid)
        WHEN 'pg_proc'::regclass THEN tributary.ddl_function(objid)
        ELSE tributary.ddl_other(classid, objid) END
$f$;
