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
