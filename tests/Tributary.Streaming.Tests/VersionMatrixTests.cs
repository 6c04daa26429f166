using Tributary.Load.Schema;
using Tributary.Testing;

namespace Tributary.Streaming.Tests;

/// <summary>Every supported major version as the source, into its own version and into another one.</summary>
public sealed class VersionMatrixTests
{
    const string Schema =
        """
        CREATE TYPE mood AS ENUM ('sad', 'glad');
        CREATE TABLE item (id int PRIMARY KEY, n int UNIQUE, m mood DEFAULT 'sad', body text, note text, twice int GENERATED ALWAYS AS (n * 2) STORED);
        ALTER TABLE item ALTER body SET STORAGE EXTERNAL;
        INSERT INTO item (id, n, body) SELECT i, i, repeat(md5(i::text), 300) FROM generate_series(1, 40) i;
        CREATE TABLE whole (a int, b jsonb, c numeric, d timestamptz[]);
        ALTER TABLE whole REPLICA IDENTITY FULL;
        INSERT INTO whole SELECT i % 3, '{"a": [1, null]}', 'NaN', '{2026-01-01, NULL}' FROM generate_series(1, 9) i;
        CREATE TABLE indexed (code text NOT NULL, v bytea);
        CREATE UNIQUE INDEX indexed_code ON indexed (code);
        ALTER TABLE indexed REPLICA IDENTITY USING INDEX indexed_code;
        INSERT INTO indexed SELECT 'c' || i, '\x00ff' FROM generate_series(1, 9) i;
        CREATE TABLE appended (line text);
        ALTER TABLE appended REPLICA IDENTITY NOTHING;
        CREATE TABLE emptied (id serial PRIMARY KEY, item int REFERENCES item);
        INSERT INTO emptied (item) SELECT 1 FROM generate_series(1, 9);
        CREATE TABLE sale (day date, id bigint, PRIMARY KEY (day, id)) PARTITION BY RANGE (day);
        CREATE TABLE sale_old PARTITION OF sale FOR VALUES FROM (MINVALUE) TO ('2026-01-01');
        CREATE TABLE sale_new PARTITION OF sale FOR VALUES FROM ('2026-01-01') TO (MAXVALUE);
        INSERT INTO sale SELECT date '2025-12-20' + i, i FROM generate_series(1, 30) i;
        """;

    static readonly string[] Changes =
    [
        "INSERT INTO item (id, n, m, body) VALUES (41, 41, 'glad', 'short'); UPDATE item SET note = 'touched' WHERE id <= 20; DELETE FROM item WHERE id = 30",
        "UPDATE item SET id = id + 1000 WHERE id BETWEEN 21 AND 25; UPDATE item SET body = body || 'x', n = -n WHERE id > 1020",
        "UPDATE whole SET c = 1.50 WHERE ctid = (SELECT min(ctid) FROM whole); DELETE FROM whole WHERE ctid = (SELECT max(ctid) FROM whole)",
        "UPDATE indexed SET v = NULL WHERE code = 'c1'; UPDATE indexed SET code = 'moved' WHERE code = 'c2'; DELETE FROM indexed WHERE code = 'c3'",
        "INSERT INTO appended SELECT 'same' FROM generate_series(1, 5)",
        "TRUNCATE emptied RESTART IDENTITY; INSERT INTO emptied (item) VALUES (2)",
        "UPDATE sale SET day = '2026-06-06' WHERE id = 1; UPDATE sale SET id = -id WHERE id > 20; DELETE FROM sale WHERE id = 12; TRUNCATE sale_old",
        "BEGIN; INSERT INTO appended VALUES ('kept'); SAVEPOINT s; INSERT INTO appended VALUES ('undone'); ROLLBACK TO s; INSERT INTO appended VALUES ('kept'); COMMIT",
        // Larger than the servers' logical_decoding_work_mem, so that it leaves the memory of the decoding session before its commit.
        "BEGIN; INSERT INTO appended SELECT 'large ' || i FROM generate_series(1, 20000) i; UPDATE item SET note = 'large'; COMMIT",
    ];

    public static TheoryData<int, int> Pairs
    {
        get
        {
            var pairs = new TheoryData<int, int>();
            foreach (var source in (int[])[13, 14, 15, 16, 17, 18])
            {
                pairs.Add(source, source);
                if (source != 15)
                    pairs.Add(source, 15);
            }

            pairs.Add(13, 18);
            return pairs;
        }
    }

    static readonly string[] SchemaChanges =
    [
        "ALTER TABLE item ADD extra int DEFAULT 7; UPDATE item SET extra = id WHERE id < 5; ALTER TABLE item RENAME note TO remark; INSERT INTO item (id, n, remark) VALUES (50, 50, 'new')",
        "ALTER TABLE whole ALTER a TYPE bigint; UPDATE whole SET a = a + 10; ALTER TABLE appended RENAME TO lines; INSERT INTO lines VALUES ('after')",
        "ALTER TABLE indexed DROP v; INSERT INTO indexed VALUES ('c77')",
    ];

    // What only event triggers tell of.
    static readonly string[] MoreSchemaChanges =
    [
        "CREATE SCHEMA \"Odd one\"; CREATE TABLE made AS SELECT i AS id, 'v' || i AS v FROM generate_series(1, 500) i; ALTER TABLE made ADD PRIMARY KEY (id), ADD r float8 DEFAULT random(); ALTER TABLE made SET SCHEMA \"Odd one\"",
        "ALTER TYPE mood ADD VALUE 'calm'", "UPDATE item SET m = 'calm' WHERE id = 1; CREATE INDEX ON item (m); COMMENT ON TABLE item IS 'things'",
        "BEGIN; SAVEPOINT s; DROP TABLE indexed; ROLLBACK TO s; CREATE VIEW shown AS SELECT id, m FROM item; COMMIT",
        "DO $$ BEGIN EXECUTE 'CREATE TABLE sale_more PARTITION OF sale DEFAULT'; INSERT INTO emptied (item) VALUES (3); EXECUTE 'ALTER TABLE sale DETACH PARTITION sale_old'; END $$",
        "CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$; CREATE TRIGGER noted BEFORE INSERT ON item FOR EACH ROW EXECUTE FUNCTION noted(); CREATE POLICY own ON item USING (id > 0)",
        "ALTER TABLE emptied DROP CONSTRAINT emptied_item_fkey, ADD CHECK (id > 0); DROP TABLE whole; CREATE MATERIALIZED VIEW kept AS SELECT count(*) FROM item",
    ];

    [Theory]
    [MemberData(nameof(TestServers.Majors), MemberType = typeof(TestServers))]
    public async Task Changes_of_the_schema_are_carried_by_every_version(int major)
    {
        var server = await TestServers.ForMajorAsync(major);
        await using var stream = await StreamHarness.CreateAsync(server, server, Schema);
        await stream.StartAndCatchUpAsync();

        // The pgoutput of Postgres 13 passes no messages on, so its streams follow the descriptions of rows.
        foreach (var change in major == 13 ? SchemaChanges : [.. SchemaChanges, .. MoreSchemaChanges])
            await stream.SourceAsync(change);
        await stream.CatchUpAsync();

        await stream.AssertEqualAsync();
        if (major > 13)
            Assert.Equal(
                await SchemaDump.ReadAsync(server, stream.Source, TestContext.Current.CancellationToken), await SchemaDump.ReadAsync(server, stream.Target, TestContext.Current.CancellationToken));
    }

    [Theory]
    [MemberData(nameof(Pairs))]
    public async Task Rows_are_carried_between_versions(int source, int target)
    {
        await using var stream = await StreamHarness.CreateAsync(await TestServers.ForMajorAsync(source), await TestServers.ForMajorAsync(target), Schema);

        await stream.StartAndCatchUpAsync();
        foreach (var change in Changes)
            await stream.SourceAsync(change);
        await stream.CatchUpAsync();
        await stream.StopAsync();
        await stream.SourceAsync("INSERT INTO item (id, n) SELECT i, i FROM generate_series(5000, 5999) i; UPDATE item SET n = n + 100000 WHERE id < 5500");
        await stream.StartAndCatchUpAsync();

        await stream.AssertEqualAsync();
        Assert.Equal(0, stream.Pipeline!.Status.MissingRows);
    }
}
