namespace Tributary.Streaming.Tests;

public sealed class ExactnessTests
{
    const string Quoted = "\"Größe\".\"Täble \"\"Q\"\"\"";

    [Fact]
    public async Task Every_type_of_value_arrives_as_it_was()
    {
        await using var stream = await StreamHarness.CreateAsync(
            $"""
            CREATE TYPE mood AS ENUM ('sad', 'it''s "ok"');
            CREATE DOMAIN short AS varchar(10);
            CREATE SCHEMA "Größe";
            CREATE TABLE {Quoted} (
                "Id" int PRIMARY KEY, n numeric, b bytea, j json, jb jsonb, a text[], ia int[], m mood, ma mood[], ts timestamptz, d date, iv interval,
                f float8, t text, c char(5), vc varchar(10), s short, u uuid, bits bit(3), r int4range, "char" "char", ip inet,
                g int GENERATED ALWAYS AS ("Id" * 2) STORED);
            CREATE TABLE auto (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text);
            INSERT INTO auto (v) VALUES ('first');
            CREATE TABLE turn (id int PRIMARY KEY, n bigint GENERATED ALWAYS AS IDENTITY, v text);
            INSERT INTO turn (id, v) VALUES (1, 'a'), (2, 'b');
            CREATE TABLE pointer (id int PRIMARY KEY, c regclass, t regtype, p regprocedure, rs regclass[], o oid, m money);
            INSERT INTO pointer SELECT i, 'auto', 'mood', 'pg_catalog.lower(text)', ARRAY['turn', 'pointer']::regclass[], 4000000000, 12.34::money FROM generate_series(1, 2) i;
            """);
        const string Row =
            """
            (n, b, j, jb, a, ia, m, ma, ts, d, iv, f, t, c, vc, s, u, bits, r, "char", ip) = (SELECT
            123456789.000000000012345, '\x00ff5c27'::bytea, '{"a":  1, "a": 2}'::json, '{"k":"\u20ac\\ \""}'::jsonb, ARRAY['a,b', NULL, '', '"q"', 'back\slash', '{}'], '{{1,2},{3,NULL}}'::int[],
            'it''s "ok"'::mood, ARRAY['sad', 'it''s "ok"']::mood[], '0044-03-15 12:00:00.123456+00 BC'::timestamptz, 'infinity'::date, '-1 year 2 days 03:04:05.6'::interval,
            0.1::float8 + 0.2, E'tab\tnl\ncr\r\\N ''x'' "y" 日本 🎉', 'ab ', 'v', 'sh', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, B'101', '[1,5)'::int4range, 'x', '10.0.0.0/8'::inet)
            """;
        await stream.SourceAsync($"""INSERT INTO {Quoted} ("Id") VALUES (1), (2); UPDATE {Quoted} SET {Row} WHERE "Id" = 1""");

        await stream.StartAndCatchUpAsync();
        await stream.SourceAsync($"""INSERT INTO {Quoted} ("Id", t, n) VALUES (3, '', 'NaN'), (4, NULL, 'Infinity'); UPDATE {Quoted} SET {Row} WHERE "Id" = 2""");
        await stream.SourceAsync($"""INSERT INTO {Quoted} SELECT 5, n, b, j, jb, a, ia, m, ma, ts, d, iv, f, t, c, vc, s, u, bits, r, "char", ip FROM {Quoted} WHERE "Id" = 2""");
        await stream.SourceAsync("INSERT INTO auto (v) VALUES ('second'); UPDATE auto SET v = 'changed' WHERE id = 1; UPDATE auto SET id = DEFAULT WHERE id = 2");
        await stream.SourceAsync("UPDATE turn SET n = DEFAULT WHERE id = 1; UPDATE turn SET v = 'c', n = DEFAULT; INSERT INTO turn OVERRIDING SYSTEM VALUE VALUES (3, 77, 'd')");
        await stream.SourceAsync("UPDATE pointer SET c = 'pointer', t = 'mood[]', m = 5 WHERE id = 2");
        await stream.CatchUpAsync();

        await stream.AssertEqualAsync();
    }

    [Fact]
    public async Task Keys_large_values_truncation_and_tables_without_key_are_carried()
    {
        await using var stream = await StreamHarness.CreateAsync(
            """
            CREATE TABLE doc (id int PRIMARY KEY, n int UNIQUE, body text, other text);
            ALTER TABLE doc ALTER body SET STORAGE EXTERNAL;
            INSERT INTO doc SELECT i, i, repeat(md5(i::text), 500), 'o' FROM generate_series(1, 20) i;
            CREATE TABLE full_row (a int, j json, p char(4));
            ALTER TABLE full_row REPLICA IDENTITY FULL;
            INSERT INTO full_row VALUES (1, '{"x":1}', 'p'), (1, '{"x":1}', 'p'), (NULL, NULL, NULL);
            CREATE TABLE log (line text);
            CREATE TABLE parent (id int PRIMARY KEY);
            CREATE TABLE child (id int REFERENCES parent);
            INSERT INTO parent VALUES (1); INSERT INTO child VALUES (1);
            """);
        await stream.StartAndCatchUpAsync();

        await stream.SourceAsync("UPDATE doc SET other = 'touched' WHERE id <= 10");
        await stream.SourceAsync("UPDATE doc SET id = id + 100 WHERE id > 15");
        // A shift of a unique column: only the source's order satisfies the constraint.
        await stream.SourceAsync("DO $$ BEGIN FOR i IN REVERSE 20..1 LOOP UPDATE doc SET n = i + 1 WHERE n = i; END LOOP; END $$");
        await stream.SourceAsync("BEGIN; DELETE FROM doc WHERE id = 1; INSERT INTO doc VALUES (1, 900, 'again', NULL); UPDATE doc SET id = 2000 WHERE id = 1; INSERT INTO doc VALUES (1, 901, '', ''); COMMIT");
        await stream.SourceAsync("DELETE FROM full_row WHERE ctid = (SELECT min(ctid) FROM full_row); UPDATE full_row SET a = 7 WHERE a IS NULL");
        await stream.SourceAsync("INSERT INTO log SELECT 'same' FROM generate_series(1, 5)");
        await stream.SourceAsync("TRUNCATE parent CASCADE; INSERT INTO parent VALUES (2)");
        await stream.CatchUpAsync();

        await stream.AssertEqualAsync();
        Assert.Equal(0, stream.Pipeline!.Status.MissingRows);
    }

    [Fact]
    public async Task Rows_written_during_the_copy_and_aborts_under_load_lose_and_double_nothing()
    {
        await using var stream = await StreamHarness.CreateAsync(BankLoad.Schema);
        await using var load = BankLoad.Start(stream.Source);

        stream.Start();
        await stream.WaitAsync(status => status.Phase == StreamPhase.CopyingRows);
        await stream.StopAsync();
        for (var i = 0; i < 6; i++)
        {
            await stream.StartAndCatchUpAsync();
            await stream.StopAsync();
        }

        stream.Start();
        await load.StopAsync();
        await stream.CatchUpAsync();

        await load.AssertCarriedAsync(stream);
    }
}
