using Tributary.Testing;

namespace Tributary.Streaming.Tests.Subscription;

/// <summary>Tables of every kind, and commands that rewrite or empty them (src/test/subscription/t: 006, 010, 011, 013, 032, 100).</summary>
public sealed class TableKindTests
{
    [Fact]
    public async Task Rewriting_a_table_carries_no_row_twice()
    {
        await using var stream = await StreamHarness.CreateAsync(
            "CREATE TABLE item (id int PRIMARY KEY, v text); INSERT INTO item SELECT i, repeat('v', 3000) FROM generate_series(1, 200) i; CREATE MATERIALIZED VIEW sums AS SELECT count(*) FROM item");
        await stream.StartAndCatchUpAsync();

        await stream.SourceAsync("UPDATE item SET v = v || 'x' WHERE id <= 50");
        await stream.SourceAsync("VACUUM FULL item");
        await stream.SourceAsync("CLUSTER item USING item_pkey");
        await stream.SourceAsync("REFRESH MATERIALIZED VIEW sums");
        await stream.SourceAsync("BEGIN; INSERT INTO item VALUES (1000, 'a'); ALTER TABLE item SET (fillfactor = 50); CLUSTER item; INSERT INTO item VALUES (1001, 'b'); COMMIT");
        await stream.SourceAsync("REINDEX TABLE item; ANALYZE item; DELETE FROM item WHERE id > 100 AND id < 150");
        await stream.CatchUpAsync();

        Assert.Equal(new ChangeCounts(2, 50, 49, 0), stream.Pipeline!.Status.Changes with { Schemas = 0 });
        await stream.AssertEqualAsync();
    }

    [Fact]
    public async Task Truncation_of_several_tables_keeps_its_place_among_the_rows()
    {
        await using var stream = await StreamHarness.CreateAsync(
            """
            CREATE TABLE a (id serial PRIMARY KEY, v text); CREATE TABLE b (id int PRIMARY KEY REFERENCES a); CREATE TABLE c (id int REFERENCES b);
            CREATE TABLE apart (id int); CREATE TABLE parent (id int); CREATE TABLE heir (extra int) INHERITS (parent);
            INSERT INTO a (v) VALUES ('x'), ('y'); INSERT INTO b VALUES (1); INSERT INTO c VALUES (1); INSERT INTO apart VALUES (1); INSERT INTO heir VALUES (1, 2);
            """);
        await stream.StartAndCatchUpAsync();

        await stream.SourceAsync("BEGIN; INSERT INTO a (v) VALUES ('gone'); INSERT INTO b VALUES (2); TRUNCATE a RESTART IDENTITY CASCADE; INSERT INTO a (v) VALUES ('first again'); INSERT INTO b VALUES (1); COMMIT");
        await stream.SourceAsync("TRUNCATE apart, c; INSERT INTO c VALUES (1)");
        await stream.SourceAsync("BEGIN; INSERT INTO apart VALUES (5); SAVEPOINT s; TRUNCATE a CASCADE; ROLLBACK TO s; COMMIT");
        await stream.SourceAsync("TRUNCATE ONLY parent; INSERT INTO heir VALUES (3, 4)");
        await stream.CatchUpAsync();
        await stream.AssertEqualAsync();
        await stream.SourceAsync("TRUNCATE parent");
        await stream.CatchUpAsync();

        await stream.AssertEqualAsync();
        Assert.Equal(0L, await StreamHarness.ScalarAsync(stream.Target, "SELECT count(*) FROM heir"));
    }

    [Fact]
    public async Task Identities_of_every_kind_find_their_rows()
    {
        await using var stream = await StreamHarness.CreateAsync(
            """
            CREATE TABLE long_key (id text PRIMARY KEY, n int); ALTER TABLE long_key ALTER id SET STORAGE EXTERNAL;
            INSERT INTO long_key SELECT repeat(i::text, 2500), i FROM generate_series(1, 5) i;
            CREATE TABLE pair (a int, b text NOT NULL, c int NOT NULL, v text); CREATE UNIQUE INDEX pair_key ON pair (c, b); ALTER TABLE pair REPLICA IDENTITY USING INDEX pair_key;
            INSERT INTO pair SELECT i, 'b' || i % 2, i, repeat('long', 2000) FROM generate_series(1, 6) i;
            CREATE TABLE whole (a int, b text, c json); ALTER TABLE whole REPLICA IDENTITY FULL; CREATE INDEX ON whole (lower(b)); CREATE INDEX ON whole (a) WHERE a > 0;
            INSERT INTO whole VALUES (1, 'A', '{"k": 1}'), (1, 'A', '{"k": 1}'), (NULL, NULL, NULL), (NULL, NULL, NULL), (-1, repeat('t', 9000), NULL);
            CREATE TABLE keyed_whole (id int PRIMARY KEY, body text); ALTER TABLE keyed_whole REPLICA IDENTITY FULL; ALTER TABLE keyed_whole ALTER body SET STORAGE EXTERNAL;
            INSERT INTO keyed_whole SELECT i, repeat('b', 9000) FROM generate_series(1, 4) i;
            CREATE DOMAIN positive AS int CHECK (VALUE > 0); CREATE TYPE place AS (x int, y text);
            CREATE TABLE odd (id positive PRIMARY KEY, p place, ps place[], r int4range, gone int, v text); ALTER TABLE odd DROP gone;
            INSERT INTO odd VALUES (1, '(1,"a b")', '{"(2,c)"}', '[1,5)', 'v');
            """);
        await stream.StartAndCatchUpAsync();

        await stream.SourceAsync("UPDATE long_key SET n = -n WHERE n < 3; UPDATE long_key SET id = repeat('moved', 500) WHERE n = 3; DELETE FROM long_key WHERE n = 4");
        await stream.SourceAsync("UPDATE pair SET a = -a WHERE c < 3; UPDATE pair SET b = 'changed' WHERE c = 3; UPDATE pair SET v = NULL, c = 40 WHERE c = 4; DELETE FROM pair WHERE c = 5");
        await stream.SourceAsync("DELETE FROM whole WHERE ctid = (SELECT min(ctid) FROM whole WHERE a = 1); UPDATE whole SET b = 'was null' WHERE ctid = (SELECT min(ctid) FROM whole WHERE a IS NULL); UPDATE whole SET a = -2 WHERE a = -1");
        await stream.SourceAsync("UPDATE keyed_whole SET id = id + 10 WHERE id = 1; UPDATE keyed_whole SET id = 2 WHERE id = 2; DELETE FROM keyed_whole WHERE id = 3");
        await stream.SourceAsync("UPDATE odd SET p.y = 'changed', ps = ps || '(7,)'::place, id = 2; INSERT INTO odd VALUES (3, NULL, '{}', 'empty', NULL); DELETE FROM odd WHERE id = 3");
        await stream.CatchUpAsync();

        await stream.AssertEqualAsync();
        Assert.Equal(0, stream.Pipeline!.Status.MissingRows);
    }

    [Fact]
    public async Task Rows_that_move_between_partitions_and_rows_of_unlogged_and_temporary_tables_go_where_they_belong()
    {
        await using var stream = await StreamHarness.CreateAsync(
            """
            CREATE TABLE sale (region text, id int, v text, PRIMARY KEY (region, id)) PARTITION BY LIST (region);
            CREATE TABLE sale_eu PARTITION OF sale FOR VALUES IN ('de', 'fr') PARTITION BY HASH (id);
            CREATE TABLE sale_eu_0 PARTITION OF sale_eu FOR VALUES WITH (MODULUS 2, REMAINDER 0);
            CREATE TABLE sale_eu_1 (v text, region text NOT NULL, id int NOT NULL);
            ALTER TABLE sale_eu ATTACH PARTITION sale_eu_1 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
            CREATE TABLE sale_rest PARTITION OF sale DEFAULT;
            INSERT INTO sale SELECT (ARRAY['de', 'fr', 'us'])[1 + i % 3], i, 'v' FROM generate_series(1, 60) i;
            CREATE UNLOGGED TABLE passing (id int PRIMARY KEY);
            """);
        await stream.StartAndCatchUpAsync();

        await stream.SourceAsync("UPDATE sale SET region = 'jp' WHERE region = 'de' AND id < 20; UPDATE sale SET id = id + 1000 WHERE region = 'fr'; UPDATE sale SET v = 'w' WHERE id > 30");
        await stream.SourceAsync("INSERT INTO passing VALUES (1); DELETE FROM sale_eu_1 WHERE id % 3 = 0; TRUNCATE sale_eu_0; INSERT INTO sale VALUES ('de', 2000, NULL), ('br', 2001, '')");
        await stream.CatchUpAsync();

        const string Rows = "SELECT tableoid::regclass || ' ' || t::text FROM sale t ORDER BY 1";
        Assert.Equal(await StreamHarness.ColumnAsync(stream.Source, Rows), await StreamHarness.ColumnAsync(stream.Target, Rows));
        Assert.Equal(0, stream.Pipeline!.Status.MissingRows);
    }

    [Fact]
    public async Task Virtual_generated_columns_are_computed_by_the_target()
    {
        var server = await TestServers.ForMajorAsync(18);
        await using var stream = await StreamHarness.CreateAsync(
            server, server,
            """
            CREATE TABLE item (id int PRIMARY KEY, n int, twice int GENERATED ALWAYS AS (n * 2) VIRTUAL, kept int GENERATED ALWAYS AS (n + 1) STORED);
            INSERT INTO item (id, n) VALUES (1, 10), (2, NULL);
            """);
        await stream.StartAndCatchUpAsync();

        await stream.SourceAsync("UPDATE item SET n = 30 WHERE id = 2; INSERT INTO item (id, n) VALUES (3, 40); DELETE FROM item WHERE id = 1");
        await stream.CatchUpAsync();

        await stream.AssertEqualAsync();
        Assert.Equal(["2 60 31", "3 80 41"], await StreamHarness.ColumnAsync(stream.Target, "SELECT concat_ws(' ', id, twice, kept) FROM item ORDER BY id"));
    }
}
