using static Tributary.Streaming.Tests.Ddl.DdlOutcome;

namespace Tributary.Streaming.Tests.Ddl;

/// <summary>Tables, their columns, constraints, indexes and partitions.</summary>
static class TableCases
{
    const string Two = "CREATE TABLE {s}.t (id int PRIMARY KEY, v text); INSERT INTO {s}.t VALUES (1, 'a'), (2, 'b')";
    const string More = "INSERT INTO {s}.t (id, v) VALUES (3, 'c'); UPDATE {s}.t SET v = 'z' WHERE id = 1; DELETE FROM {s}.t WHERE id = 2";
    const string Parts =
        "CREATE TABLE {s}.t (id int PRIMARY KEY, v text) PARTITION BY RANGE (id); CREATE TABLE {s}.low PARTITION OF {s}.t FOR VALUES FROM (0) TO (3);" +
        "INSERT INTO {s}.t VALUES (1, 'a'), (2, 'b')";

    public static IEnumerable<DdlCase> All => [.. Tables, .. Columns, .. Rewrites, .. Constraints, .. Indexes, .. Partitions];

    static readonly DdlCase[] Tables =
    [
        new("Tables", "CREATE TABLE with keys, checks, defaults, serial and identity columns",
            "CREATE TABLE {s}.t (id serial PRIMARY KEY, i bigint GENERATED ALWAYS AS IDENTITY (START 5), v varchar(9) DEFAULT 'x' COLLATE \"C\" NOT NULL, n numeric(9,2) CHECK (n > 0), " +
            "g int GENERATED ALWAYS AS (length(v::text)) STORED, u int UNIQUE, r int REFERENCES {s}.t, a int[] DEFAULT '{1,2}', CONSTRAINT \"odd Name\" CHECK (u <> 3)) WITH (fillfactor = 70)",
            Rows: "INSERT INTO {s}.t (v, n, u) VALUES ('a', 1, 1), ('b', 2, 2); UPDATE {s}.t SET r = 1; DELETE FROM {s}.t WHERE id = 2"),
        new("Tables", "CREATE TABLE … LIKE", "CREATE TABLE {s}.u (LIKE {s}.t INCLUDING ALL)", "CREATE TABLE {s}.t (id int PRIMARY KEY, v text DEFAULT 'q' CHECK (v <> '')); CREATE INDEX ON {s}.t (v)", "INSERT INTO {s}.u VALUES (1)"),
        new("Tables", "CREATE TABLE … INHERITS", "CREATE TABLE {s}.child (extra int DEFAULT 4) INHERITS ({s}.t)", Two, "INSERT INTO {s}.child (id, v) VALUES (9, 'i'); UPDATE ONLY {s}.t SET v = 'w' WHERE id = 1"),
        new("Tables", "CREATE TABLE … OF type", "CREATE TABLE {s}.t OF {s}.ty (PRIMARY KEY (id), v DEFAULT 'd')", "CREATE TYPE {s}.ty AS (id int, v text)", "INSERT INTO {s}.t (id) VALUES (1)"),
        new("Tables", "CREATE TABLE AS", "CREATE TABLE {s}.c AS SELECT id, v || '!' AS w, random() AS r FROM {s}.t", Two, "INSERT INTO {s}.c VALUES (7, 'n', 0)", Note: "Its rows are those of the source, not computed again."),
        new("Tables", "CREATE TABLE AS … EXECUTE", "PREPARE q AS SELECT g AS id FROM generate_series(1, 5) g; CREATE TABLE {s}.c AS EXECUTE q; DEALLOCATE q"),
        new("Tables", "SELECT INTO", "SELECT id, clock_timestamp() AS at INTO {s}.c FROM {s}.t", Two),
        new("Tables", "CREATE TABLE AS in a transaction with other changes", "BEGIN; INSERT INTO {s}.t VALUES (5, 'e'); CREATE TABLE {s}.c AS SELECT * FROM {s}.t; ALTER TABLE {s}.c REPLICA IDENTITY FULL; UPDATE {s}.c SET v = 'u'; ALTER TABLE {s}.c ADD x int DEFAULT 3; INSERT INTO {s}.c VALUES (8, 'h', 4); COMMIT", Two),
        new("Tables", "CREATE UNLOGGED TABLE", "CREATE UNLOGGED TABLE {s}.u (id int PRIMARY KEY)", Note: "Postgres does not log its rows, so none are carried."),
        new("Tables", "CREATE TEMPORARY TABLE", "CREATE TEMPORARY TABLE tmp (id int); INSERT INTO tmp VALUES (1); ALTER TABLE tmp ADD v int; DROP TABLE tmp", Note: "Left out, as it is the session's own."),
        new("Tables", "ALTER TABLE … RENAME TO", "ALTER TABLE {s}.t RENAME TO u", Two, "INSERT INTO {s}.u VALUES (3, 'c')"),
        new("Tables", "ALTER TABLE … RENAME TO, two tables swapped",
            "BEGIN; ALTER TABLE {s}.t RENAME TO x; ALTER TABLE {s}.u RENAME TO t; INSERT INTO {s}.t VALUES (5); ALTER TABLE {s}.x RENAME TO u; INSERT INTO {s}.u VALUES (4, 'd'); COMMIT",
            Two + "; CREATE TABLE {s}.u (k int PRIMARY KEY)", "INSERT INTO {s}.t VALUES (6); DELETE FROM {s}.u WHERE id = 1"),
        new("Tables", "ALTER TABLE … SET SCHEMA", "ALTER TABLE {s}.t SET SCHEMA {s}_b", "CREATE SCHEMA {s}_b; CREATE TABLE {s}.t (id serial PRIMARY KEY, v text)", "INSERT INTO {s}_b.t (v) VALUES ('c')"),
        new("Tables", "ALTER TABLE … SET (storage parameters), RESET", "ALTER TABLE {s}.t SET (fillfactor = 50, autovacuum_enabled = off, toast.autovacuum_enabled = off);; ALTER TABLE {s}.t RESET (fillfactor)", Two, More),
        new("Tables", "ALTER TABLE … SET LOGGED", "ALTER TABLE {s}.u SET LOGGED", "CREATE UNLOGGED TABLE {s}.u (id int PRIMARY KEY, v text); INSERT INTO {s}.u VALUES (1, 'x'), (2, NULL)", "INSERT INTO {s}.u VALUES (3, 'y'); UPDATE {s}.u SET v = 'k' WHERE id = 1", Note: "The rows that were not logged before follow with the command."),
        new("Tables", "ALTER TABLE … SET UNLOGGED", "ALTER TABLE {s}.t SET UNLOGGED", Two),
        new("Tables", "ALTER TABLE … REPLICA IDENTITY", "ALTER TABLE {s}.t REPLICA IDENTITY FULL;; CREATE UNIQUE INDEX x ON {s}.u (k); ALTER TABLE {s}.u REPLICA IDENTITY USING INDEX x", Two + "; CREATE TABLE {s}.u (k int NOT NULL)", More + "; INSERT INTO {s}.u VALUES (1), (2); UPDATE {s}.u SET k = 3 WHERE k = 1"),
        new("Tables", "ALTER TABLE … CLUSTER ON, SET WITHOUT CLUSTER", "ALTER TABLE {s}.t CLUSTER ON t_pkey", Two),
        new("Tables", "ALTER TABLE … INHERIT, NO INHERIT", "ALTER TABLE {s}.c INHERIT {s}.t;; ALTER TABLE {s}.d NO INHERIT {s}.t", Two + "; CREATE TABLE {s}.c (id int NOT NULL, v text, x int); CREATE TABLE {s}.d () INHERITS ({s}.t)", "INSERT INTO {s}.c VALUES (1, 'a', 2); INSERT INTO {s}.d VALUES (4, 'a')"),
        new("Tables", "DROP TABLE", "DROP TABLE {s}.t", Two + "; CREATE TABLE {s}.keep (id int)"),
        new("Tables", "DROP TABLE … CASCADE with a view and a foreign key on it", "DROP TABLE {s}.t CASCADE", Two + "; CREATE VIEW {s}.w AS SELECT * FROM {s}.t; CREATE TABLE {s}.f (id int REFERENCES {s}.t); INSERT INTO {s}.f VALUES (1)", "INSERT INTO {s}.f VALUES (77)"),
        new("Tables", "DROP TABLE of several that refer to each other", "DROP TABLE {s}.a, {s}.b", "CREATE TABLE {s}.a (id serial PRIMARY KEY); CREATE TABLE {s}.b (id int PRIMARY KEY REFERENCES {s}.a); ALTER TABLE {s}.a ADD FOREIGN KEY (id) REFERENCES {s}.b DEFERRABLE"),
        new("Tables", "DROP TABLE, then CREATE TABLE of the same name", "BEGIN; DROP TABLE {s}.t; CREATE TABLE {s}.t (v int PRIMARY KEY, w date); INSERT INTO {s}.t VALUES (1, '2026-01-01'); COMMIT", Two, "INSERT INTO {s}.t VALUES (2, NULL)"),
        new("Tables", "TRUNCATE among changes of the schema", "BEGIN; INSERT INTO {s}.t VALUES (3, 'c'); ALTER TABLE {s}.t ADD w int DEFAULT 7; TRUNCATE {s}.t; INSERT INTO {s}.t VALUES (4, 'd', 1); COMMIT", Two),
    ];

    static readonly DdlCase[] Columns =
    [
        new("Columns", "ADD COLUMN", "ALTER TABLE {s}.t ADD COLUMN w int", Two, More),
        new("Columns", "ADD COLUMN … DEFAULT constant", "ALTER TABLE {s}.t ADD COLUMN w text NOT NULL DEFAULT 'it''s', ADD x int[] DEFAULT '{1,NULL}', ADD y \"char\" DEFAULT 'q'", Two, More),
        new("Columns", "ADD COLUMN … DEFAULT now()", "ALTER TABLE {s}.t ADD COLUMN at timestamptz DEFAULT now()", Two, More, Note: "Rows that exist get the source's value."),
        new("Columns", "ADD COLUMN … GENERATED … STORED", "ALTER TABLE {s}.t ADD COLUMN l int GENERATED ALWAYS AS (length(v)) STORED", Two, More),
        new("Columns", "ADD COLUMN … IDENTITY, serial", "ALTER TABLE {s}.t ADD COLUMN i int GENERATED ALWAYS AS IDENTITY;; ALTER TABLE {s}.t ADD COLUMN sn bigserial", Two, More, Note: "An identity column is BY DEFAULT at the target, since rows bring their own values."),
        new("Columns", "ADD COLUMN of a domain with a default", "ALTER TABLE {s}.t ADD COLUMN d {s}.dom", Two + "; CREATE DOMAIN {s}.dom AS int DEFAULT 6 CHECK (value > 0)", More),
        new("Columns", "DROP COLUMN", "ALTER TABLE {s}.t DROP COLUMN w", "CREATE TABLE {s}.t (id int PRIMARY KEY, w int UNIQUE, v text); INSERT INTO {s}.t VALUES (1, 2, 'a'), (2, 3, 'b')", More),
        new("Columns", "DROP COLUMN … CASCADE with a view on it", "ALTER TABLE {s}.t DROP COLUMN v CASCADE", Two + "; CREATE VIEW {s}.w AS SELECT v FROM {s}.t; CREATE VIEW {s}.w2 AS SELECT v FROM {s}.w", "INSERT INTO {s}.t VALUES (4)"),
        new("Columns", "a column dropped and added again", "BEGIN; INSERT INTO {s}.t VALUES (3, 'c'); ALTER TABLE {s}.t DROP COLUMN v, ADD COLUMN v int DEFAULT 5; INSERT INTO {s}.t VALUES (4, 6); COMMIT", Two, "UPDATE {s}.t SET v = 8 WHERE id = 1"),
        new("Columns", "RENAME COLUMN", "ALTER TABLE {s}.t RENAME COLUMN v TO \"Ünï \"\"q\"", Two + "; CREATE INDEX ON {s}.t (v); ALTER TABLE {s}.t ADD CHECK (v <> '')", "INSERT INTO {s}.t VALUES (3, 'c'); UPDATE {s}.t SET \"Ünï \"\"q\" = 'x' WHERE id = 1"),
        new("Columns", "RENAME COLUMN, two columns swapped", "BEGIN; ALTER TABLE {s}.t RENAME a TO x; ALTER TABLE {s}.t RENAME b TO a; ALTER TABLE {s}.t RENAME x TO b; COMMIT", "CREATE TABLE {s}.t (id int PRIMARY KEY, a int, b int); INSERT INTO {s}.t VALUES (1, 10, 20)", "INSERT INTO {s}.t (id, a, b) VALUES (2, 1, 2)"),
        new("Columns", "ALTER COLUMN … TYPE without new rows", "ALTER TABLE {s}.t ALTER v TYPE text, ALTER n TYPE numeric", "CREATE TABLE {s}.t (id int PRIMARY KEY, v varchar(5) DEFAULT 'd' CHECK (v <> 'no'), n numeric(6)); INSERT INTO {s}.t VALUES (1, 'a', 1)", "INSERT INTO {s}.t VALUES (2, 'longer than five', 1.5)"),
        new("Columns", "SET DEFAULT, DROP DEFAULT", "ALTER TABLE {s}.t ALTER v SET DEFAULT upper('x'), ALTER id DROP DEFAULT", "CREATE TABLE {s}.t (id int DEFAULT 4, v text)"),
        new("Columns", "SET NOT NULL, DROP NOT NULL", "ALTER TABLE {s}.t ALTER v SET NOT NULL;; ALTER TABLE {s}.t ALTER w DROP NOT NULL", "CREATE TABLE {s}.t (id int PRIMARY KEY, v text, w int NOT NULL)", "INSERT INTO {s}.t VALUES (1, 'v', NULL)"),
        new("Columns", "SET STORAGE, SET STATISTICS, SET (n_distinct)", "ALTER TABLE {s}.t ALTER v SET STORAGE EXTERNAL, ALTER v SET STATISTICS 55, ALTER v SET (n_distinct = 5)", Two, More),
        new("Columns", "SET COMPRESSION", "ALTER TABLE {s}.t ALTER v SET COMPRESSION pglz", Two, More, SinceMajor: 14),
        new("Columns", "ADD GENERATED … IDENTITY, SET, DROP IDENTITY", "ALTER TABLE {s}.t ALTER id ADD GENERATED BY DEFAULT AS IDENTITY (INCREMENT 7);; ALTER TABLE {s}.t ALTER id SET INCREMENT 9;; ALTER TABLE {s}.u ALTER id DROP IDENTITY", Two + "; CREATE TABLE {s}.u (id int GENERATED ALWAYS AS IDENTITY)", More),
        new("Columns", "DROP EXPRESSION", "ALTER TABLE {s}.t ALTER g DROP EXPRESSION", "CREATE TABLE {s}.t (id int PRIMARY KEY, g int GENERATED ALWAYS AS (id * 2) STORED); INSERT INTO {s}.t VALUES (4)", "INSERT INTO {s}.t VALUES (1, 99)"),
        new("Columns", "quoted and multibyte names of schema, table and column", "CREATE TABLE {s}.\"Größe 表 \"\"x\" (\"ключ\" int PRIMARY KEY, \"select\" text); ALTER TABLE {s}.\"Größe 表 \"\"x\" ADD \"a'b\\c\" text DEFAULT 'q\\'", Rows: "INSERT INTO {s}.\"Größe 表 \"\"x\" VALUES (1, 'ö'), (2, NULL)"),
        new("Columns", "several actions in one ALTER TABLE", "ALTER TABLE {s}.t DROP v, ADD a int DEFAULT 1, ALTER id TYPE bigint, ADD b text, ADD CHECK (a < 100), ALTER a SET DEFAULT 2", Two, "INSERT INTO {s}.t (id) VALUES (9)"),
    ];

    static readonly DdlCase[] Rewrites =
    [
        new("Rewrites", "ADD COLUMN … DEFAULT random(), clock_timestamp(), gen_random_uuid()", "ALTER TABLE {s}.t ADD r float8 DEFAULT random(), ADD c timestamptz DEFAULT clock_timestamp(), ADD u uuid DEFAULT gen_random_uuid()", Two, More, Note: "The source's rows follow with the command."),
        new("Rewrites", "ADD COLUMN … DEFAULT of a volatile function, on a table of all kinds of values", "ALTER TABLE {s}.t ADD r float8 DEFAULT random()",
            "CREATE TYPE {s}.comp AS (a int, t text); CREATE TYPE {s}.em AS ENUM ('y', 'z'); CREATE TABLE {s}.t (id int PRIMARY KEY, b bytea, j jsonb, a text[], c {s}.comp, f float8, ts timestamptz, iv interval, bp char(6), bo bool, nu text, m money, ra int4range, x xml, e {s}.em);" +
            "INSERT INTO {s}.t VALUES (1, '\\x00ff27', '{\"a\": \"\\\"\\u00e9\"}', ARRAY['a,\"b', NULL, '{}'], ROW(1, 'q\"'), 0.1 + 0.2, '2026-01-01 03:04:05.678+02', '1 year -3 days', 'ab', true, NULL, 12.5, '[2,7)', '<a/>', 'z'); INSERT INTO {s}.t VALUES (2)",
            "INSERT INTO {s}.t (id) VALUES (3)"),
        new("Rewrites", "ALTER COLUMN … TYPE … USING", "ALTER TABLE {s}.t ALTER v TYPE int USING ascii(v) * 1000, ALTER id TYPE bigint", Two + "; CREATE INDEX vi ON {s}.t (v)", "INSERT INTO {s}.t VALUES (3, 4); DELETE FROM {s}.t WHERE id = 2"),
        new("Rewrites", "ALTER COLUMN … TYPE with a default that changes too", "ALTER TABLE {s}.t ALTER v DROP DEFAULT, ALTER v TYPE int USING 5, ALTER v SET DEFAULT 6", "CREATE TABLE {s}.t (id int PRIMARY KEY, v text DEFAULT 'none'); INSERT INTO {s}.t VALUES (1)", "INSERT INTO {s}.t VALUES (2)"),
        new("Rewrites", "ALTER COLUMN … TYPE of a key that others refer to", "ALTER TABLE {s}.t ALTER id TYPE bigint", Two + "; CREATE TABLE {s}.f (r int REFERENCES {s}.t); INSERT INTO {s}.f VALUES (1), (2)", "INSERT INTO {s}.f VALUES (1)"),
        new("Rewrites", "a rewrite between changes of rows in one transaction", "BEGIN; INSERT INTO {s}.t VALUES (3, '7'); UPDATE {s}.t SET v = '8' WHERE id IN (1, 2); ALTER TABLE {s}.t ALTER v TYPE int USING v::int + 1; UPDATE {s}.t SET v = v + 100 WHERE id = 1; INSERT INTO {s}.t VALUES (4, 4); COMMIT", Two),
        new("Rewrites", "a rewrite of all partitions", "ALTER TABLE {s}.t ALTER v TYPE int USING length(v), ADD w float8 DEFAULT random()", Parts + "; CREATE TABLE {s}.high PARTITION OF {s}.t FOR VALUES FROM (3) TO (9); INSERT INTO {s}.t VALUES (5, 'hh')", "INSERT INTO {s}.t VALUES (6, 1), (0, 0)"),
        new("Rewrites", "a rewrite that is rolled back", "BEGIN; ALTER TABLE {s}.t ADD r float8 DEFAULT random(); ROLLBACK", Two, More),
        new("Rewrites", "VACUUM FULL, REINDEX", "VACUUM FULL {s}.t;; REINDEX TABLE {s}.t", Two, More, Note: "Nothing to carry."),
        new("Rewrites", "CLUSTER … USING", "CLUSTER {s}.t USING t_pkey", Two, More, Invisible, "It leaves rows alone. The mark that it sets on the index follows with the table's next change."),
    ];

    static readonly DdlCase[] Constraints =
    [
        new("Constraints", "ADD PRIMARY KEY, UNIQUE, CHECK, EXCLUDE", "ALTER TABLE {s}.t ADD PRIMARY KEY (id), ADD CONSTRAINT uq UNIQUE (v) DEFERRABLE INITIALLY DEFERRED, ADD CHECK (id > 0) NO INHERIT;; ALTER TABLE {s}.t ADD EXCLUDE USING btree (v WITH =)", "CREATE TABLE {s}.t (id int, v text); INSERT INTO {s}.t VALUES (1, 'a')", "INSERT INTO {s}.t VALUES (2, 'b'); UPDATE {s}.t SET v = 'x' WHERE id = 1"),
        new("Constraints", "ADD FOREIGN KEY … NOT VALID, VALIDATE CONSTRAINT", "ALTER TABLE {s}.f ADD CONSTRAINT fk FOREIGN KEY (r) REFERENCES {s}.t ON DELETE CASCADE NOT VALID;; DELETE FROM {s}.f; ALTER TABLE {s}.f VALIDATE CONSTRAINT fk", Two + "; CREATE TABLE {s}.f (id int PRIMARY KEY, r int); INSERT INTO {s}.f VALUES (1, 9)"),
        new("Constraints", "ALTER CONSTRAINT … DEFERRABLE", "ALTER TABLE {s}.f ALTER CONSTRAINT f_id_fkey DEFERRABLE INITIALLY DEFERRED", Two + "; CREATE TABLE {s}.f (id int PRIMARY KEY REFERENCES {s}.t)"),
        new("Constraints", "RENAME CONSTRAINT", "ALTER TABLE {s}.t RENAME CONSTRAINT t_pkey TO \"Key\";; ALTER TABLE {s}.t RENAME CONSTRAINT c TO c2", Two + "; ALTER TABLE {s}.t ADD CONSTRAINT c CHECK (id <> 5)", More),
        new("Constraints", "DROP CONSTRAINT", "ALTER TABLE {s}.t DROP CONSTRAINT c, DROP CONSTRAINT t_v_key", "CREATE TABLE {s}.t (id int PRIMARY KEY, v text UNIQUE, CONSTRAINT c CHECK (id < 3))", "INSERT INTO {s}.t VALUES (4, 'x'), (5, 'x')"),
        new("Constraints", "DROP CONSTRAINT … CASCADE of a key that others refer to", "ALTER TABLE {s}.t DROP CONSTRAINT t_v_key CASCADE", "CREATE TABLE {s}.t (id int PRIMARY KEY, v text UNIQUE); CREATE TABLE {s}.f (v text REFERENCES {s}.t (v))", "INSERT INTO {s}.f VALUES ('n')"),
        new("Constraints", "another primary key", "ALTER TABLE {s}.t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (v)", "CREATE TABLE {s}.t (id int PRIMARY KEY, v text NOT NULL); INSERT INTO {s}.t VALUES (1, 'a'), (2, 'b')", "UPDATE {s}.t SET id = 7 WHERE v = 'a'; DELETE FROM {s}.t WHERE v = 'b'"),
        new("Constraints", "ADD CONSTRAINT … USING INDEX", "CREATE UNIQUE INDEX ux ON {s}.t (v);; ALTER TABLE {s}.t ADD CONSTRAINT named UNIQUE USING INDEX ux", Two, More),
        new("Constraints", "a constraint of an inheritance tree", "ALTER TABLE {s}.t ADD CONSTRAINT c CHECK (id > 0);; ALTER TABLE {s}.t DROP CONSTRAINT d", Two + "; CREATE TABLE {s}.k () INHERITS ({s}.t); ALTER TABLE {s}.t ADD CONSTRAINT d CHECK (id < 99)", "INSERT INTO {s}.k VALUES (100, 'x')"),
    ];

    static readonly DdlCase[] Indexes =
    [
        new("Indexes", "CREATE INDEX, unique, partial, on expressions", "CREATE INDEX ON {s}.t (v);; CREATE UNIQUE INDEX u ON {s}.t (lower(v) DESC NULLS LAST) INCLUDE (id) WHERE id > 0;; CREATE INDEX h ON {s}.t USING hash (v)", Two, More),
        new("Indexes", "CREATE INDEX CONCURRENTLY", "CREATE INDEX CONCURRENTLY ci ON {s}.t (v)", Two, More, Note: "Built in the target's transaction, so it holds writes to the target's table for that time."),
        new("Indexes", "CREATE INDEX CONCURRENTLY that fails", "!CREATE UNIQUE INDEX CONCURRENTLY ci ON {s}.t (v)", "CREATE TABLE {s}.t (id int PRIMARY KEY, v text); INSERT INTO {s}.t VALUES (1, 'a'), (2, 'a')", "ALTER TABLE {s}.t ADD w int;; DROP INDEX {s}.ci", Note: "The invalid index that it leaves is not carried."),
        new("Indexes", "REINDEX CONCURRENTLY", "REINDEX TABLE CONCURRENTLY {s}.t;; CREATE INDEX ON {s}.t (id, v)", Two + "; CREATE INDEX i ON {s}.t (v)", More),
        new("Indexes", "ALTER INDEX … RENAME, SET, ALTER COLUMN … SET STATISTICS", "ALTER INDEX {s}.i RENAME TO \"I 2\";; ALTER INDEX {s}.\"I 2\" SET (fillfactor = 60);; ALTER INDEX {s}.\"I 2\" ALTER COLUMN 1 SET STATISTICS 77", Two + "; CREATE INDEX i ON {s}.t (lower(v))", More),
        new("Indexes", "DROP INDEX, DROP INDEX CONCURRENTLY", "DROP INDEX {s}.i;; DROP INDEX CONCURRENTLY {s}.j", Two + "; CREATE INDEX i ON {s}.t (v); CREATE UNIQUE INDEX j ON {s}.t (v)", "INSERT INTO {s}.t VALUES (3, 'a')"),
        new("Indexes", "CREATE, ALTER, DROP STATISTICS", "CREATE STATISTICS {s}.st (ndistinct, dependencies) ON id, v FROM {s}.t;; ALTER STATISTICS {s}.st SET STATISTICS 12;; ALTER STATISTICS {s}.st RENAME TO st2;; DROP STATISTICS {s}.gone", Two + "; CREATE STATISTICS {s}.gone ON id, v FROM {s}.t"),
    ];

    static readonly DdlCase[] Partitions =
    [
        new("Partitions", "CREATE TABLE … PARTITION BY, PARTITION OF", "CREATE TABLE {s}.t (id int, d date, v text, PRIMARY KEY (id, d)) PARTITION BY RANGE (d); CREATE TABLE {s}.old PARTITION OF {s}.t FOR VALUES FROM (MINVALUE) TO ('2026-01-01') PARTITION BY LIST (id);; " +
            "CREATE TABLE {s}.old1 PARTITION OF {s}.old FOR VALUES IN (1, 2);; CREATE TABLE {s}.rest PARTITION OF {s}.t DEFAULT;; CREATE INDEX ON {s}.t (v)", Rows: "INSERT INTO {s}.t VALUES (1, '2025-01-01', 'a'), (7, '2027-01-01', 'b'); UPDATE {s}.t SET d = '2028-01-01' WHERE id = 1"),
        new("Partitions", "a partition created later", "CREATE TABLE {s}.high PARTITION OF {s}.t FOR VALUES FROM (3) TO (9)", Parts + "; CREATE INDEX named ON {s}.t (v); ALTER TABLE {s}.t ADD CHECK (id < 99)", "INSERT INTO {s}.t VALUES (5, 'e'); UPDATE {s}.t SET id = 6 WHERE id = 1"),
        new("Partitions", "ATTACH PARTITION", "ALTER TABLE {s}.t ATTACH PARTITION {s}.high FOR VALUES FROM (3) TO (9)", Parts + "; CREATE INDEX ON {s}.t (v); CREATE TABLE {s}.high (v text, id int PRIMARY KEY); INSERT INTO {s}.high VALUES ('q', 4)", "INSERT INTO {s}.t VALUES (5, 'e'); UPDATE {s}.t SET v = 'k' WHERE id = 4"),
        new("Partitions", "ATTACH PARTITION of an unlogged table", "ALTER TABLE {s}.t ATTACH PARTITION {s}.high FOR VALUES FROM (3) TO (9)", Parts + "; CREATE UNLOGGED TABLE {s}.high (id int PRIMARY KEY, v text)", Note: "Its rows are not logged, so none are carried."),
        new("Partitions", "DETACH PARTITION", "ALTER TABLE {s}.t DETACH PARTITION {s}.low", Parts + "; CREATE INDEX ON {s}.t (v)", "INSERT INTO {s}.low VALUES (77, 'x'); DROP TABLE {s}.t"),
        new("Partitions", "DETACH PARTITION CONCURRENTLY", "ALTER TABLE {s}.t DETACH PARTITION {s}.low CONCURRENTLY", Parts, "INSERT INTO {s}.low VALUES (0, 'x')", SinceMajor: 14),
        new("Partitions", "columns and constraints of a partitioned table", "ALTER TABLE {s}.t ADD w int NOT NULL DEFAULT 7, ALTER v SET NOT NULL;; ALTER TABLE {s}.t RENAME v TO vv;; ALTER TABLE {s}.t ADD CONSTRAINT c CHECK (w > 0);; ALTER TABLE {s}.t ADD UNIQUE (id, w);; ALTER TABLE {s}.t ALTER w SET DEFAULT 9;; ALTER TABLE ONLY {s}.low ALTER w SET DEFAULT 4", Parts, "INSERT INTO {s}.t (id, vv) VALUES (0, 'n'); INSERT INTO {s}.low (id, vv) VALUES (-1 + 1 + 0, 'o') ON CONFLICT DO NOTHING"),
        new("Partitions", "DROP COLUMN, DROP CONSTRAINT, DROP INDEX of a partitioned table", "ALTER TABLE {s}.t DROP v;; ALTER TABLE {s}.t DROP CONSTRAINT t_pkey;; DROP INDEX {s}.ix", Parts + "; ALTER TABLE {s}.t ADD k int; CREATE INDEX ix ON {s}.t (k)", "INSERT INTO {s}.t VALUES (0, 1)"),
        new("Partitions", "CREATE INDEX ON ONLY, ATTACH PARTITION of indexes", "CREATE INDEX pi ON ONLY {s}.t (v);; CREATE INDEX li ON {s}.low (v);; ALTER INDEX {s}.pi ATTACH PARTITION {s}.li", Parts, "INSERT INTO {s}.t VALUES (0, 'z')"),
        new("Partitions", "a foreign key from and to partitioned tables", "ALTER TABLE {s}.f ADD FOREIGN KEY (r) REFERENCES {s}.t;; CREATE TABLE {s}.f2 PARTITION OF {s}.f FOR VALUES IN (2)", Parts + "; CREATE TABLE {s}.f (k int, r int) PARTITION BY LIST (k); CREATE TABLE {s}.f1 PARTITION OF {s}.f FOR VALUES IN (1)", "INSERT INTO {s}.f VALUES (1, 1), (2, 2)"),
        new("Partitions", "DROP TABLE of a partition, of a partitioned table", "DROP TABLE {s}.low;; DROP TABLE {s}.u", Parts + "; CREATE TABLE {s}.u (id int) PARTITION BY LIST (id); CREATE TABLE {s}.u1 PARTITION OF {s}.u FOR VALUES IN (1)"),
    ];
}
