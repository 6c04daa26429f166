namespace Tributary.Streaming.Tests;

/// <summary>A copy that ends in the middle is taken back and begun anew, whichever step it had reached.</summary>
public sealed class UnfinishedCopyTests
{
    // The index takes a second to make, so that the copy can be caught there; the tables are many, so that some are whole and others not.
    const string Schema =
        """
        CREATE TYPE mood AS ENUM ('sad', 'glad');
        CREATE FUNCTION slow(i int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_catalog.pg_sleep(0.02); RETURN i; END $$;
        CREATE TABLE item (id int PRIMARY KEY, m mood DEFAULT 'sad');
        INSERT INTO item SELECT i FROM generate_series(1, 40) i;
        CREATE INDEX item_slow ON item (slow(id));
        DO $$ BEGIN FOR i IN 1..8 LOOP
            EXECUTE format('CREATE TABLE big_%s (id bigserial PRIMARY KEY, item int REFERENCES item, body text)', i);
            EXECUTE format('INSERT INTO big_%s (item, body) SELECT 1 + g %% 40, repeat(md5(g::text), 4) FROM generate_series(1, 20000) g', i);
        END LOOP; END $$;
        """;

    public static TheoryData<string> Stages => ["schema", "rows", "indexes"];

    [Theory]
    [MemberData(nameof(Stages))]
    public async Task A_copy_that_ends_early_is_begun_anew(string stage)
    {
        await using var stream = await StreamHarness.CreateAsync(Schema);
        stream.Options = stream.Options with { CopyTablesMax = 1 };

        stream.Start();
        await ReachAsync(stream, stage);
        await stream.StopAsync();
        Assert.Equal(["copying"], await StreamHarness.ColumnAsync(stream.Target, "SELECT state FROM tributary.progress"));
        await stream.SourceAsync("INSERT INTO item VALUES (1000, 'glad'); DELETE FROM big_3 WHERE id % 2 = 0; DROP TABLE big_5");
        await stream.StartAndCatchUpAsync();

        await stream.AssertEqualAsync();
        Assert.Empty(await StreamHarness.ColumnAsync(stream.Target, "SELECT relname::text FROM pg_class WHERE relname LIKE 'big_5%'"));
        Assert.Equal(1L, await StreamHarness.ScalarAsync(stream.Target, "SELECT count(*) FROM pg_indexes WHERE indexname = 'item_slow'"));
        Assert.Equal(7L, await StreamHarness.ScalarAsync(stream.Target, "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND convalidated"));
    }

    [Fact]
    public async Task The_copys_figures_are_exact_never_fall_and_end_at_the_whole()
    {
        await using var stream = await StreamHarness.CreateAsync(Schema);
        var (fraction, rows) = (0.0, 0L);

        stream.Start();
        await stream.WaitAsync(status =>
        {
            Assert.True(status.Copy.Fraction >= fraction && status.Copy.Rows >= rows && status.Copy.RowsEstimated >= status.Copy.Rows, $"{status.Copy}");
            (fraction, rows) = (status.Copy.Fraction, status.Copy.Rows);
            return status.Phase == StreamPhase.Streaming;
        });

        var copy = stream.Pipeline!.Status.Copy;
        Assert.Equal((160_040L, 160_040L, 9, 9, 1.0), (copy.Rows, copy.RowsEstimated, copy.TablesDone, copy.TablesTotal, copy.Fraction));
    }

    static Task ReachAsync(StreamHarness stream, string stage) => stage switch
    {
        "schema" => stream.WaitAsync(status => status.Phase == StreamPhase.CopyingRows),
        "rows" => stream.WaitAsync(status => status.Copy.TablesDone >= 3),
        _ => StreamHarness.UntilAsync(async () => await StreamHarness.ScalarAsync(
            stream.Target, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE 'CREATE INDEX item_slow%')") is true),
    };
}
