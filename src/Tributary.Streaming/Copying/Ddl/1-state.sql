-- What the source keeps in a schema of its own so that its event triggers can tell what a command has changed.
-- Everything here can be run again over an earlier installation. It is one script with the files that follow.
SET LOCAL check_function_bodies = off;
SET LOCAL client_min_messages = warning;
CREATE SCHEMA IF NOT EXISTS tributary;

CREATE TABLE IF NOT EXISTS tributary.ddl_setting (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    -- Whoever may call pg_logical_emit_message could forge a message; one without this secret is not believed.
    token text NOT NULL DEFAULT md5(random()::text || clock_timestamp()::text) || md5(random()::text || gen_random_uuid()::text),
    -- A table of more bytes whose rows a command writes anew is not put into the log a second time; the stream stops there and says so.
    rewrite_bytes_max bigint NOT NULL DEFAULT 1073741824,
    -- Set for good by the first command that gives a relation a column of a type that initdb or users number (from 10,000 on,
    -- src/include/access/transam.h): such a type's binary form may hold numbers that differ between databases.
    has_user_types boolean NOT NULL DEFAULT false,
    -- Characters of rows a message.
    rows_message_max int NOT NULL DEFAULT 1000000);
INSERT INTO tributary.ddl_setting DEFAULT VALUES ON CONFLICT DO NOTHING;
REVOKE ALL ON tributary.ddl_setting FROM PUBLIC;

-- The streams that read the messages; the last one's removal takes the triggers away.
CREATE TABLE IF NOT EXISTS tributary.ddl_stream (slot_name text PRIMARY KEY);

-- Each object as it was after the last command. A rollback, also to a savepoint, undoes it together with the message.
CREATE TABLE IF NOT EXISTS tributary.ddl_state (
    classid oid NOT NULL,
    objid oid NOT NULL,
    parents oid[] NOT NULL DEFAULT '{}',
    state jsonb NOT NULL,
    PRIMARY KEY (classid, objid));
CREATE INDEX IF NOT EXISTS ddl_state_parents ON tributary.ddl_state USING gin (parents);

-- Which relation an index belongs to: a dropped index no longer says so.
CREATE TABLE IF NOT EXISTS tributary.ddl_index (indexid oid PRIMARY KEY, relid oid NOT NULL);

-- Relations that the running command has written anew, and why (https://www.postgresql.org/docs/current/functions-event-triggers.html).
CREATE TABLE IF NOT EXISTS tributary.ddl_rewrite (relid oid PRIMARY KEY, reason int NOT NULL);

-- What each grantee may do, where it differs from what the object's kind gives by default.
CREATE OR REPLACE FUNCTION tributary.ddl_grants(target text, suffix text, prefix text, acl aclitem[], kind "char", owner oid) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $f$
    SELECT COALESCE(jsonb_object_agg(role, jsonb_build_object('set', revoke || COALESCE('; ' || now, ''), 'unset', revoke || COALESCE('; ' || usual, '')))
        FILTER (WHERE now IS DISTINCT FROM usual), '{}')
    FROM (
        SELECT COALESCE(r.rolname::text, 'public') AS role,
            format('%sREVOKE ALL%s ON %s FROM %s', prefix, suffix, target, CASE WHEN r.oid IS NULL THEN 'PUBLIC' ELSE quote_ident(r.rolname) END) AS revoke,
            string_agg(g.words, '; ' ORDER BY g.words) FILTER (WHERE g.is_now) AS now,
            string_agg(g.words, '; ' ORDER BY g.words) FILTER (WHERE NOT g.is_now) AS usual
        FROM (
            SELECT x.is_now, x.grantee, format(
                '%sGRANT %s%s ON %s TO %s%s', prefix, x.privilege_type, suffix, target,
                CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END, CASE WHEN x.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) AS words
            FROM (SELECT true AS is_now, a.* FROM aclexplode(acl) a UNION ALL SELECT false, d.* FROM aclexplode(acldefault(kind, owner)) d) x) g
        LEFT JOIN pg_roles r ON r.oid = g.grantee
        GROUP BY r.oid, r.rolname) e
    WHERE acl IS NOT NULL
$f$;

CREATE OR REPLACE FUNCTION tributary.ddl_name(namespace oid, name name) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $f$
    SELECT format('%I.%I', nspname, name) FROM pg_namespace WHERE oid = namespace
$f$;

-- 'a=b' items of an options array as they stand in an SQL options list.
CREATE OR REPLACE FUNCTION tributary.ddl_fdw_options(options text[]) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $f$
    SELECT string_agg(format('%I %L', option_name, option_value), ', ' ORDER BY option_name) FROM pg_options_to_table(options)
$f$;

CREATE OR REPLACE FUNCTION tributary.ddl_comment(kind text, identity text, classid oid, objid oid) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $f$
    SELECT COALESCE((
        SELECT jsonb_build_object('comment', jsonb_build_object(
            'set', format('COMMENT ON %s %s IS %L', kind, identity, d.description), 'unset', format('COMMENT ON %s %s IS NULL', kind, identity)))
        FROM pg_description d WHERE d.classoid = classid AND d.objoid = objid AND d.objsubid = 0), '{}')
$f$;
