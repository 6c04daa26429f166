SET LOCAL client_min_messages = warning;
DROP EVENT TRIGGER IF EXISTS tributary_ddl_end;
DROP EVENT TRIGGER IF EXISTS tributary_ddl_drop;
DROP EVENT TRIGGER IF EXISTS tributary_ddl_rewrite;
DROP FUNCTION IF EXISTS tributary.ddl_capture(), tributary.ddl_drops(text), tributary.ddl_emit(text, tributary.ddl_address[], jsonb, jsonb),
    tributary.ddl_before_others(oid, oid, jsonb, jsonb), tributary.ddl_await_writers(oid[]), tributary.ddl_send_rows(oid, text, int), tributary.ddl_end(), tributary.ddl_recent(), tributary.ddl_remember(oid, oid, jsonb), tributary.ddl_whole(oid, oid),
    tributary.ddl_describe(oid, oid), tributary.ddl_published_schemas(oid), tributary.ddl_published_tables(oid), tributary.ddl_operator(oid, name),
    tributary.ddl_other(oid, oid), tributary.ddl_function(oid), tributary.ddl_type(oid),
    tributary.ddl_object_state(text, text, text, text, text, text, oid, jsonb, oid, oid), tributary.ddl_relation(oid), tributary.ddl_attached(oid),
    tributary.ddl_indexes(oid), tributary.ddl_constraints(oid), tributary.ddl_sequence(oid), tributary.ddl_columns(oid, "char"),
    tributary.ddl_comment(text, text, oid, oid), tributary.ddl_fdw_options(text[]), tributary.ddl_name(oid, name),
    tributary.ddl_grants(text, text, text, aclitem[], "char", oid);
DROP TYPE IF EXISTS tributary.ddl_address;
DROP TABLE IF EXISTS tributary.ddl_rewrite, tributary.ddl_index, tributary.ddl_state, tributary.ddl_stream, tributary.ddl_setting;
-- The schema stays where another stream's target keeps something in it.
DO $$
BEGIN
    DROP SCHEMA tributary;
EXCEPTION WHEN dependent_objects_still_exist THEN
    NULL;
END $$;
