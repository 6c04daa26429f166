DO $$ BEGIN
    IF to_regtype('tributary.ddl_address') IS NULL THEN
        CREATE TYPE tributary.ddl_address AS (classid oid, objid oid);
    END IF;
END $$;

-- The object that a part belongs to; null for what is never carried: temporary objects, members of extensions, the server's own, ours.
CREATE OR REPLACE FUNCTION tributary.ddl_whole(part_class oid, part oid) RETURNS tributary.ddl_address
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $f$
DECLARE
    class oid := part_class;
    id oid := part;
    schema text;
    relkind "char";
BEGIN
    CASE class
    WHEN 'pg_constraint'::regclass THEN
        SELECT CASE WHEN conrelid <> 0 THEN 'pg_class' ELSE 'pg_type' END::regclass, COALESCE(NULLIF(conrelid, 0), contypid) INTO class, id FROM pg_constraint WHERE oid = part;
    WHEN 'pg_trigger'::regclass THEN SELECT 'pg_class'::regclass, tgrelid INTO class, id FROM pg_trigger WHERE oid = part;
    WHEN 'pg_policy'::regclass THEN SELECT 'pg_class'::regclass, polrelid INTO class, id FROM pg_policy WHERE oid = part;
    WHEN 'pg_rewrite'::regclass THEN SELECT 'pg_class'::regclass, ev_class INTO class, id FROM pg_rewrite WHERE oid = part;
    WHEN 'pg_attrdef'::regclass THEN SELECT 'pg_class'::regclass, adrelid INTO class, id FROM pg_attrdef WHERE oid = part;
    WHEN 'pg_publication_rel'::regclass THEN SELECT 'pg_publication'::regclass, prpubid INTO class, id FROM pg_publication_rel WHERE oid = part;
    WHEN COALESCE(to_regclass('pg_publication_namespace'), 0) THEN
        EXECUTE 'SELECT pnpubid FROM pg_publication_namespace WHERE oid = $1' INTO id USING part;
        class := 'pg_publication'::regclass;
    ELSE
        NULL;
    END CASE;
    IF class = 'pg_type'::regclass THEN
        -- The type of a table's rows is the table; an array goes with its element, a multirange with its range.
        SELECT CASE WHEN c.relkind <> 'c' THEN 'pg_class' ELSE 'pg_type' END::regclass, CASE WHEN c.relkind <> 'c' THEN c.oid WHEN t.typtype = 'm' OR t.typelem <> 0 AND t.typtype = 'b' THEN NULL ELSE id END
        INTO class, id FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid WHERE t.oid = id;
    END IF;
    IF class = 'pg_class'::regclass THEN
        SELECT c.relkind INTO relkind FROM pg_class c WHERE c.oid = id;
        IF relkind IN ('i', 'I') THEN
            SELECT indrelid INTO id FROM pg_index WHERE indexrelid = id;
        ELSIF relkind = 'c' THEN
            SELECT 'pg_type'::regclass, reltype INTO class, id FROM pg_class WHERE oid = id;
        ELSIF relkind = 'S' THEN
            id := COALESCE((SELECT refobjid FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = id AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'i' LIMIT 1), id);
        ELSIF relkind IS NULL OR relkind = 't' THEN
            RETURN NULL;
        END IF;
        IF (SELECT relpersistence FROM pg_class WHERE oid = id) = 't' THEN
            RETURN NULL;
        END IF;
    END IF;
    IF id IS NULL OR id < 16384 AND NOT (class = 'pg_namespace'::regclass AND id = 'public'::regnamespace) THEN
        RETURN NULL;
    END IF;
    SELECT COALESCE(i.schema, CASE WHEN i.type = 'schema' THEN i.name END) INTO schema FROM pg_identify_object(class, id, 0) i;
    IF schema IN ('tributary', 'pg_catalog', 'information_schema') OR schema ~ '^pg_(temp|toast)'
        OR class = 'pg_publication'::regclass AND EXISTS (SELECT FROM pg_publication WHERE oid = id AND (pubname ~ '^tributary_' OR obj_description(id, 'pg_publication') ~ '^tributary:'))
        OR class <> 'pg_extension'::regclass AND EXISTS (SELECT FROM pg_depend d WHERE d.classid = class AND d.objid = id AND d.deptype = 'e') THEN
        RETURN NULL;
    END IF;
    RETURN (class, id)::tributary.ddl_address;
END
$f$;

CREATE OR REPLACE FUNCTION tributary.ddl_remember(class oid, id oid, described jsonb) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $f$
    INSERT INTO tributary.ddl_state (classid, objid, parents, state)
    VALUES (class, id, COALESCE((SELECT array_agg((p ->> 'id')::oid) FROM jsonb_array_elements(described -> 'parents') p), '{}'), described)
    ON CONFLICT (classid, objid) DO UPDATE SET parents = excluded.parents, state = excluded.state;
    INSERT INTO tributary.ddl_index (indexid, relid) SELECT key::oid, id FROM jsonb_object_keys(COALESCE(described -> 'indexes', '{}')) key
    ON CONFLICT (indexid) DO UPDATE SET relid = excluded.relid;
$f$;

-- What a command that names no object has changed: catalog rows written since the transaction began. Rows of other transactions may be among
-- them; they are the same as remembered, or not there yet.
CREATE OR REPLACE FUNCTION tributary.ddl_recent() RETURNS SETOF tributary.ddl_address
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $f$
    WITH own AS (SELECT age(pg_current_xact_id()::xid) AS age)
    SELECT tributary.ddl_whole(x.classid, x.objid) FROM (
        SELECT 'pg_class'::regclass::oid AS classid, c.oid AS objid FROM pg_class c, own WHERE age(c.xmin) <= own.age
        UNION SELECT 'pg_class'::regclass, a.attrelid FROM pg_attribute a, own WHERE age(a.xmin) <= own.age
        UNION SELECT 'pg_proc'::regclass, c.oid FROM pg_proc c, own WHERE age(c.xmin) <= own.age
        UNION SELECT 'pg_type'::regclass, c.oid FROM pg_type c, own WHERE age(c.xmin) <= own.age
        UNION SELECT 'pg_namespace'::regclass, c.oid FROM pg_namespace c, own WHERE age(c.xmin) <= own.age
        UNION SELECT 'pg_foreign_data_wrapper'::regclass, c.oid FROM pg_foreign_data_wrapper c, own WHERE age(c.xmin) <= own.age
        UNION SELECT 'pg_foreign_server'::regclass, c.oid FROM pg_foreign_server c, own WHERE age(c.xmin) <= own.age
        UNION SELECT 'pg_policy'::regclass, c.oid FROM pg_policy c, own WHERE age(c.xmin) <= own.age
        UNION SELECT 'pg_default_acl'::regclass, c.oid FROM pg_default_acl c) x
$f$;

-- Sends the rows of a table that a command has written anew: those writes are not decoded.
CREATE OR REPLACE FUNCTION tributary.ddl_send_rows(relation oid, token text, chunk_max int) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $f$
DECLARE
    columns text;
    head jsonb;
    piece text[] := '{}';
    size bigint := 0;
    item text;
BEGIN
    -- format prints by the type's output function; a cast to text could be a user's function.
    SELECT string_agg(format('CASE num_nulls(%I) WHEN 0 THEN format(''%%s'', %1$I) END', a.attname), ', ' ORDER BY a.attnum),
        jsonb_build_object('token', token, 'tag', 'ROWS', 'relation', relation, 'identity', relation::regclass::text,
            'columns', COALESCE(jsonb_agg(quote_ident(a.attname) ORDER BY a.attnum), '[]'), 'types', COALESCE(jsonb_agg(format_type(a.atttypid, a.atttypmod) ORDER BY a.attnum), '[]'))
    INTO columns, head FROM pg_attribute a WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '';
    FOR item IN EXECUTE format('SELECT to_jsonb(ARRAY[%s]::text[])::text FROM ONLY %s', columns, relation::regclass) LOOP
        -- An array grows in place; a text would be copied with each row.
        piece := piece || item;
        size := size + length(item);
        IF size >= chunk_max THEN
            PERFORM pg_logical_emit_message(true, 'tributary.ddl', rtrim(head::text, '}') || ', "rows": [' || array_to_string(piece, ',') || ']}');
            piece := '{}';
            size := 0;
        END IF;
    END LOOP;
    IF size > 0 THEN
        PERFORM pg_logical_emit_message(true, 'tributary.ddl', rtrim(head::text, '}') || ', "rows": [' || array_to_string(piece, ',') || ']}');
    END IF;
END
$f$;

-- A schema or a type that changes does not lock the tables that use it: a transaction that wrote before would be decoded with the old names and
-- values, and come behind the change. So it waits for them, but not for long, since new writers queue behind the wait. That fails no command:
-- without the wait the stream meets such a transaction only if one is under way, and stops there.
CREATE OR REPLACE FUNCTION tributary.ddl_await_writers(relations oid[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '1s' AS $f$
DECLARE
    names text;
BEGIN
    SELECT string_agg(c.oid::regclass::text, ', ' ORDER BY c.oid) INTO names FROM pg_class c WHERE c.oid = ANY (relations) AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't';
    IF names IS NOT NULL THEN
        EXECUTE 'LOCK TABLE ' || names || ' IN SHARE MODE';
    END IF;
EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
    NULL;
END
$f$;

CREATE OR REPLACE FUNCTION tributary.ddl_before_others(class oid, id oid, was jsonb, now jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $f$
BEGIN
    IF was ->> 'kind' = 'SCHEMA' AND was ->> 'name' <> now ->> 'name' THEN
        PERFORM tributary.ddl_await_writers((SELECT array_agg(oid) FROM pg_class WHERE relnamespace = id));
        -- Until Postgres 15 pgoutput does not tell a table's new schema unless something else about the table has changed.
        -- ALTER TABLE would do the same, and would call this trigger again in the middle of its work.
        UPDATE pg_class SET relname = relname WHERE relnamespace = id AND relkind IN ('r', 'p') AND current_setting('server_version_num')::int < 160000;
        PERFORM tributary.ddl_remember(s.classid, s.objid, tributary.ddl_describe(s.classid, s.objid)) FROM tributary.ddl_state s
        WHERE s.state ->> 'schema' = was ->> 'name' AND tributary.ddl_describe(s.classid, s.objid) IS NOT NULL;
    ELSIF class = 'pg_type'::regclass AND ((was -> 'labels') IS DISTINCT FROM (now -> 'labels') OR (was -> 'columns') IS DISTINCT FROM (now -> 'columns')) THEN
        PERFORM tributary.ddl_await_writers((
            WITH RECURSIVE users AS (
                SELECT t.oid, t.typrelid FROM pg_type t WHERE t.oid = id
                UNION SELECT t.oid, t.typrelid FROM users u JOIN pg_depend d ON d.refclassid = 'pg_type'::regclass AND d.refobjid = u.oid
                JOIN pg_type t ON d.classid = 'pg_type'::regclass AND t.oid = d.objid OR d.classid = 'pg_class'::regclass AND t.typrelid = d.objid)
            SELECT array_agg(typrelid) FROM users WHERE typrelid <> 0));
    END IF;
END
$f$;

-- Comes after the last message of a command. This function's caller runs in a subtransaction, and decoding merges subtransactions by position, where
-- a message has that of its end, and a row that of its beginning (logicalmsg_decode and heap_decode in src/backend/replication/logical/decode.c). So
-- a row that is written right behind a message has the message's position, and may come before it: a row of a table that is not described yet. Behind
-- this message, which says nothing and is not read, it cannot.
CREATE OR REPLACE FUNCTION tributary.ddl_end() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $f$
BEGIN
    PERFORM pg_logical_emit_message(true, 'tributary.ddl.end', '');
END
$f$;

-- Compares each touched object with what is remembered of it, and writes one message with all that differs.
CREATE OR REPLACE FUNCTION tributary.ddl_emit(tag text, touched tributary.ddl_address[], dropped jsonb, reports jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $f$
DECLARE
    setting tributary.ddl_setting;
    item record;
    before jsonb;
    after jsonb;
    objects jsonb := '[]';
    rewritten oid[] := '{}';
    emptied oid[] := '{}';
    refused jsonb := '[]';
    refreshed jsonb := '[]';
    user_types boolean;
    relation oid;
BEGIN
    SELECT * INTO STRICT setting FROM tributary.ddl_setting;
    FOR item IN
        WITH RECURSIVE named AS (SELECT DISTINCT t.classid, t.objid FROM unnest(touched) t WHERE t.objid IS NOT NULL),
        down AS (
            SELECT objid, 0 AS depth FROM named WHERE classid = 'pg_class'::regclass
            UNION SELECT h.inhrelid, down.depth + 1 FROM pg_inherits h JOIN down ON down.objid = h.inhparent),
        related AS (
            SELECT classid, objid FROM named
            UNION SELECT 'pg_class'::regclass, objid FROM down
            UNION SELECT s.classid, s.objid FROM tributary.ddl_state s WHERE s.parents && (SELECT array_agg(objid) FROM down))
        SELECT w.classid, w.objid FROM (SELECT DISTINCT (tributary.ddl_whole(r.classid, r.objid)).* FROM related r) w
        WHERE w.objid IS NOT NULL ORDER BY w.classid <> 'pg_namespace'::regclass, w.classid = 'pg_class'::regclass, w.objid
    LOOP
        after := tributary.ddl_describe(item.classid, item.objid);
        SELECT state INTO before FROM tributary.ddl_state WHERE classid = item.classid AND objid = item.objid;
        IF after IS NULL THEN
            SELECT reports || jsonb_build_object('object', i.type || ' ' || i.identity, 'why', 'this kind of object is not carried') INTO reports
            FROM pg_identify_object(item.classid, item.objid, 0) i WHERE i.identity IS NOT NULL;
        ELSIF before IS DISTINCT FROM after THEN
            objects := objects || jsonb_build_object('id', item.objid, 'before', before, 'after', after);
            PERFORM tributary.ddl_remember(item.classid, item.objid, after);
            PERFORM tributary.ddl_before_others(item.classid, item.objid, before, after);
        END IF;
    END LOOP;
    FOR relation IN
        DELETE FROM tributary.ddl_rewrite r WHERE (r.reason & 7) <> 0
            AND EXISTS (SELECT FROM pg_class c WHERE c.oid = r.relid AND c.relkind = 'r' AND c.relpersistence <> 't') RETURNING r.relid
    LOOP
        CONTINUE WHEN tributary.ddl_whole('pg_class'::regclass, relation) IS NULL;
        IF (SELECT relpersistence = 'u' FROM pg_class WHERE oid = relation) THEN
            -- Its rows are the source's alone; those that the target still has could not follow the command.
            emptied := emptied || relation;
        ELSIF pg_table_size(relation) > setting.rewrite_bytes_max THEN
            refused := refused || jsonb_build_object('object', relation::regclass::text, 'bytes', pg_table_size(relation), 'max', setting.rewrite_bytes_max);
        ELSE
            rewritten := rewritten || relation;
        END IF;
    END LOOP;
    IF tag = 'REFRESH MATERIALIZED VIEW' THEN
        SELECT COALESCE(jsonb_agg(tributary.ddl_describe(classid, objid)), '[]') INTO refreshed FROM unnest(touched) WHERE objid IS NOT NULL;
    END IF;
    IF objects = '[]' AND dropped = '[]' AND reports = '[]' AND refused = '[]' AND refreshed = '[]' AND rewritten || emptied = '{}' THEN
        RETURN;
    END IF;
    user_types := EXISTS (SELECT FROM jsonb_array_elements(objects) o, jsonb_each(o -> 'after' -> 'columns') c WHERE (c.value ->> 'type_id')::bigint >= 10000);
    IF user_types AND NOT setting.has_user_types THEN
        UPDATE tributary.ddl_setting SET has_user_types = true WHERE NOT has_user_types;
    END IF;
    PERFORM pg_logical_emit_message(true, 'tributary.ddl', jsonb_strip_nulls(jsonb_build_object(
        'token', setting.token, 'tag', tag, 'user_types', user_types, 'objects', objects, 'dropped', dropped, 'reports', reports, 'refused', refused, 'refreshed', refreshed,
        'rewritten', (SELECT COALESCE(jsonb_agg(jsonb_build_object('id', r, 'identity', r::regclass::text)), '[]') FROM unnest(rewritten || emptied) r)))::text);
    FOREACH relation IN ARRAY rewritten LOOP
        PERFORM tributary.ddl_send_rows(relation, setting.token, setting.rows_message_max);
    END LOOP;
    PERFORM tributary.ddl_end();
END
$f$;

CREATE OR REPLACE FUNCTION tributary.ddl_drops(tag text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $f$
DECLARE
    item record;
    remembered jsonb;
    dropped jsonb := '[]';
    reports jsonb := '[]';
    touched tributary.ddl_address[] := '{}';
    relation oid;
BEGIN
    -- The server lists what was dropped from the inside out, reversed: what depends on something comes behind it.
    FOR item IN SELECT * FROM pg_event_trigger_dropped_objects() WITH ORDINALITY ORDER BY ordinality DESC LOOP
        CONTINUE WHEN item.is_temporary OR item.schema_name = 'tributary' OR item.object_identity = 'tributary';
        DELETE FROM tributary.ddl_state s WHERE s.classid = item.classid AND s.objid = item.objid AND item.objsubid = 0 RETURNING s.state INTO remembered;
        IF FOUND THEN
            dropped := dropped || jsonb_build_object('id', item.objid, 'identity', item.object_identity, 'original', item.original, 'state', remembered);
            CONTINUE;
        END IF;
        IF item.object_type IN ('publication relation', 'publication namespace') THEN
            SELECT touched || array_agg(('pg_publication'::regclass, p.oid)::tributary.ddl_address) INTO touched FROM pg_publication p;
        END IF;
        relation := CASE
            WHEN item.classid = 'pg_class'::regclass AND item.objsubid <> 0 THEN item.objid
            WHEN item.object_type IN ('table constraint', 'trigger', 'policy', 'rule', 'default value')
                THEN to_regclass(format('%I.%I', item.address_names[1], item.address_names[2]))
            WHEN item.object_type = 'index' THEN (SELECT relid FROM tributary.ddl_index WHERE indexid = item.objid) END;
        IF relation IS NOT NULL THEN
            touched := touched || ('pg_class'::regclass, relation)::tributary.ddl_address;
        ELSIF item.original AND item.object_type IN ('operator class', 'operator family', 'user mapping', 'language', 'transform', 'access method', 'conversion',
            'text search parser', 'text search template', 'subscription') THEN
            reports := reports || jsonb_build_object('object', item.object_type || ' ' || item.object_identity, 'why', 'this kind of object is not carried');
        END IF;
    END LOOP;
    DELETE FROM tributary.ddl_index WHERE indexid IN (SELECT objid FROM pg_event_trigger_dropped_objects() WHERE object_type = 'index');
    PERFORM tributary.ddl_emit(tag, touched, dropped, reports);
END
$f$;

-- It never makes a user's command fail: what cannot be described is told in a message of its own.
CREATE OR REPLACE FUNCTION tributary.ddl_capture() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET extra_float_digits = 3 SET bytea_output = 'hex'
SET lc_monetary = 'C' SET quote_all_identifiers = off SET row_security = off SET xmloption = 'content' AS $f$
DECLARE
    touched tributary.ddl_address[];
    state text;
BEGIN
    BEGIN
        -- The first lock of all, which whoever remembers everything anew waits for (6-remember.sql): taken later, each could wait for the other.
        PERFORM FROM tributary.ddl_setting;
        IF tg_event = 'table_rewrite' THEN
            INSERT INTO tributary.ddl_rewrite VALUES (pg_event_trigger_table_rewrite_oid(), pg_event_trigger_table_rewrite_reason())
            ON CONFLICT (relid) DO UPDATE SET reason = ddl_rewrite.reason | excluded.reason;
        ELSIF tg_event = 'sql_drop' THEN
            PERFORM tributary.ddl_drops(tg_tag);
        ELSE
            SELECT array_agg(tributary.ddl_whole(c.classid, c.objid)) INTO touched FROM pg_event_trigger_ddl_commands() c
            WHERE c.classid IS NOT NULL AND c.objid IS NOT NULL AND NOT c.in_extension;
            -- These name no object.
            IF tg_tag IN ('GRANT', 'REVOKE', 'ALTER DEFAULT PRIVILEGES', 'DROP OWNED', 'REASSIGN OWNED')
                OR EXISTS (SELECT FROM pg_event_trigger_ddl_commands() c WHERE c.objid IS NULL OR c.classid IS NULL) THEN
                SELECT touched || array_agg(r) INTO touched FROM tributary.ddl_recent() r;
            END IF;
            PERFORM tributary.ddl_emit(tg_tag, touched, '[]', '[]');
        END IF;
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE;
        PERFORM pg_logical_emit_message(true, 'tributary.ddl', jsonb_build_object('token', (SELECT token FROM tributary.ddl_setting), 'tag', tg_tag, 'error', state)::text);
        PERFORM tributary.ddl_end();
    END;
END
$f$;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA tributary FROM PUBLIC;
