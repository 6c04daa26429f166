using Tributary.Streaming.Hosting;

namespace Tributary.Streaming.Tests;

/// <summary>What a real database is made of beside plain tables.</summary>
public sealed class SchemaTests
{
    [Fact]
    public async Task Partitions_extensions_sequences_and_views_are_carried()
    {
        await using var stream = await StreamHarness.CreateAsync(
            """
            CREATE EXTENSION hstore;
            CREATE SEQUENCE free START 7;
            SELECT nextval('free'), nextval('free');
            CREATE TABLE sale (day date, id bigserial, tags hstore, PRIMARY KEY (day, id)) PARTITION BY RANGE (day);
            CREATE TABLE sale_old PARTITION OF sale FOR VALUES FROM (MINVALUE) TO ('2026-01-01');
            CREATE TABLE sale_new PARTITION OF sale FOR VALUES FROM ('2026-01-01') TO (MAXVALUE) PARTITION BY LIST (day);
            CREATE TABLE sale_rest PARTITION OF sale_new DEFAULT;
            INSERT INTO sale (day, tags) SELECT date '2025-12-01' + i, 'k=>v' FROM generate_series(1, 60) i;
            CREATE VIEW recent AS SELECT * FROM sale WHERE day > '2026-01-01';
            CREATE MATERIALIZED VIEW frozen AS SELECT count(*) FROM sale;
            """);

        await stream.StartAndCatchUpAsync();
        await stream.SourceAsync("UPDATE sale SET day = '2026-05-05' WHERE id = 1; UPDATE sale SET tags = tags || 'x=>NULL' WHERE id > 50; DELETE FROM sale WHERE id = 30");
        await stream.SourceAsync("INSERT INTO sale (day) VALUES ('2020-02-02'), ('2027-01-01'); TRUNCATE sale_rest; INSERT INTO sale (day) VALUES ('2026-03-03')");
        await stream.CatchUpAsync();

        await stream.AssertEqualAsync();
        const string Sequences = "SELECT sequencename || ' ' || last_value FROM pg_sequences WHERE sequencename = 'free'";
        Assert.Equal(["free 8"], await StreamHarness.ColumnAsync(stream.Target, Sequences));
        Assert.Equal(60L, await StreamHarness.ScalarAsync(stream.Target, "SELECT last_value FROM sale_id_seq"));
    }

    [Fact]
    public async Task A_role_without_superuser_streams_the_tables_it_owns()
    {
        await using var stream = await StreamHarness.CreateAsync();
        var role = $"role_{stream.Options.Name}";
        await stream.SourceAsync(
            $"CREATE ROLE {role} LOGIN REPLICATION; GRANT CREATE ON DATABASE {stream.Options.Source.Database} TO {role}; GRANT SET ON PARAMETER session_replication_role TO {role}");
        await stream.SourceAsync($"GRANT CREATE ON SCHEMA public TO {role}; SET ROLE {role}; CREATE TABLE item (id int PRIMARY KEY, v text); INSERT INTO item VALUES (1, 'a')");
        await stream.TargetAsync($"GRANT CREATE ON DATABASE {stream.Options.Target.Database} TO {role}; GRANT CREATE ON SCHEMA public TO {role}");
        stream.Options = stream.Options with { Source = stream.Options.Source with { User = role }, Target = stream.Options.Target with { User = role } };

        var findings = await StreamPreflight.CheckAsync(stream.Options, TestContext.Current.CancellationToken);
        Assert.All(findings, static finding => Assert.Equal(FindingSeverity.Note, finding.Severity));
        await stream.StartAndCatchUpAsync();
        await stream.SourceAsync("INSERT INTO item VALUES (2, 'b'); UPDATE item SET v = 'c' WHERE id = 1");
        await stream.CatchUpAsync();

        await stream.AssertEqualAsync();
    }

    [Fact]
    public async Task What_the_stream_writes_carries_its_origin()
    {
        await using var stream = await StreamHarness.CreateAsync("CREATE TABLE item (id int PRIMARY KEY)");
        await stream.StartAndCatchUpAsync();
        var slot = $"o_{stream.Options.Name}";
        await stream.TargetAsync($"SELECT pg_create_logical_replication_slot('{slot}', 'test_decoding')");

        await stream.SourceAsync("INSERT INTO item VALUES (1)");
        await stream.CatchUpAsync();
        // Decoding reads what is flushed.
        await stream.TargetAsync("SET synchronous_commit = on; INSERT INTO item VALUES (2)");

        var decode = $"SELECT data FROM pg_logical_slot_peek_changes('{slot}', NULL, NULL, 'only-local', '{{0}}') WHERE data LIKE '%item%'";
        Assert.Equal(2, (await StreamHarness.ColumnAsync(stream.Target, string.Format(decode, "false"))).Count);
        Assert.Contains("id[integer]:2", Assert.Single(await StreamHarness.ColumnAsync(stream.Target, string.Format(decode, "true"))), StringComparison.Ordinal);
        // The source's commit, not the first of the session, is what the origin tells.
        var told = (string)(await StreamHarness.ScalarAsync(stream.Target, $"SELECT pg_replication_origin_progress('tributary_{stream.Options.Name}', false)::text"))!;
        Assert.True(Postgres.Lsn.Parse(told) > Postgres.Lsn.Zero);
        await stream.TargetAsync($"SELECT pg_drop_replication_slot('{slot}')");
    }
}
