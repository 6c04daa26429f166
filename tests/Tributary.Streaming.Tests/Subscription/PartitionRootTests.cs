namespace Tributary.Streaming.Tests.Subscription;

/// <summary>Rows of partitions that travel as rows of the partitioned table, so that the target is divided in its own way.</summary>
public sealed class PartitionRootTests
{
    [Fact]
    public async Task The_target_may_have_other_partitions()
    {
        await using var stream = await StreamHarness.CreateAsync(
            """
            CREATE TABLE sale (id int, day int, v text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
            CREATE TABLE sale_1 PARTITION OF sale FOR VALUES FROM (0) TO (10);
            CREATE TABLE sale_2 PARTITION OF sale FOR VALUES FROM (10) TO (20);
            INSERT INTO sale SELECT i, i % 20, 'copied' FROM generate_series(1, 40) i;
            CREATE TABLE note (day int, v text) PARTITION BY RANGE (day);
            ALTER TABLE note REPLICA IDENTITY FULL;
            CREATE TABLE note_1 PARTITION OF note FOR VALUES FROM (0) TO (10);
            CREATE TABLE note_2 PARTITION OF note FOR VALUES FROM (10) TO (20);
            ALTER TABLE note_1 REPLICA IDENTITY FULL;
            ALTER TABLE note_2 REPLICA IDENTITY FULL;
            INSERT INTO note SELECT i % 20, 'same' FROM generate_series(1, 40) i;
            """);
        stream.Options = stream.Options with { PartitionsViaRoot = true };
        await stream.StartAndCatchUpAsync();
        await EqualAsync(stream);

        await stream.TargetAsync(
            """
            BEGIN;
            CREATE TABLE kept AS SELECT * FROM sale_2;
            DROP TABLE sale_2;
            CREATE TABLE sale_a PARTITION OF sale FOR VALUES FROM (10) TO (13);
            CREATE TABLE sale_b PARTITION OF sale FOR VALUES FROM (13) TO (20);
            INSERT INTO sale SELECT * FROM kept;
            DROP TABLE kept;
            COMMIT;
            """);
        await stream.SourceAsync(
            """
            INSERT INTO sale SELECT i, i % 20, 'streamed' FROM generate_series(101, 500) i;
            UPDATE sale SET v = 'changed' WHERE id % 3 = 0;
            UPDATE sale SET day = 19 - day WHERE id % 7 = 0;
            DELETE FROM sale WHERE id % 11 = 0;
            UPDATE note SET v = 'other' WHERE ctid = '(0,1)';
            UPDATE note SET day = 15 WHERE day = 3;
            DELETE FROM note WHERE ctid = '(0,2)';
            """);
        await stream.CatchUpAsync();
        await EqualAsync(stream);
        Assert.Equal(0, stream.Pipeline!.Status.MissingRows);

        await stream.SourceAsync("TRUNCATE sale; INSERT INTO sale VALUES (1, 12, 'after')");
        await stream.CatchUpAsync();
        await EqualAsync(stream);
    }

    static async Task EqualAsync(StreamHarness stream)
    {
        foreach (var table in (string[])["sale", "note"])
        {
            var rows = $"SELECT t::text FROM {table} AS t ORDER BY t::text COLLATE \"C\"";
            var atSource = await StreamHarness.ColumnAsync(stream.Source, rows);
            Assert.NotEmpty(atSource);
            Assert.Equal(atSource, await StreamHarness.ColumnAsync(stream.Target, rows));
        }
    }
}
