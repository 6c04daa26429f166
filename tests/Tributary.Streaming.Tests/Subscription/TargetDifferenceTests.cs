namespace Tributary.Streaming.Tests.Subscription;

/// <summary>A target that is not quite the source: columns in another order, triggers, more indexes, rows that are gone or there before.</summary>
public sealed class TargetDifferenceTests
{
    [Fact]
    public async Task Columns_are_matched_by_name_and_indexes_of_the_targets_own_do_not_matter()
    {
        await using var stream = await StreamHarness.CreateAsync("CREATE TABLE item (id int PRIMARY KEY, a text, b numeric, gone int); ALTER TABLE item DROP gone; INSERT INTO item VALUES (1, 'x', 1)");
        await stream.StartAndCatchUpAsync();
        await stream.StopAsync();

        await stream.TargetAsync(
            """
            ALTER TABLE item RENAME TO former;
            CREATE TABLE item (b numeric, dropped int, a text, id int PRIMARY KEY, twice numeric GENERATED ALWAYS AS (b * 2) STORED);
            ALTER TABLE item DROP dropped;
            CREATE INDEX ON item (a text_pattern_ops, b) WHERE a IS NOT NULL;
            INSERT INTO item (id, a, b) SELECT id, a, b FROM former;
            """);
        await stream.SourceAsync("INSERT INTO item VALUES (2, 'y', 2), (3, 'z', NULL); UPDATE item SET b = b + 10, a = NULL WHERE id = 1; DELETE FROM item WHERE id = 2");
        await stream.StartAndCatchUpAsync();

        const string Rows = "SELECT concat_ws('|', id, a, b) FROM item ORDER BY id";
        Assert.Equal(await StreamHarness.ColumnAsync(stream.Source, Rows), await StreamHarness.ColumnAsync(stream.Target, Rows));
        Assert.Equal(22m, await StreamHarness.ScalarAsync(stream.Target, "SELECT twice FROM item WHERE id = 1"));
    }

    [Fact]
    public async Task Triggers_rules_and_foreign_keys_of_the_target_stay_quiet_unless_they_are_meant_for_replicas()
    {
        await using var stream = await StreamHarness.CreateAsync("CREATE TABLE item (id int PRIMARY KEY, parent int); CREATE TABLE other (id int PRIMARY KEY)");
        await stream.StartAndCatchUpAsync();
        await stream.TargetAsync(
            """
            CREATE TABLE seen (what text);
            CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.seen VALUES (TG_NAME); RETURN NEW; END $$;
            CREATE TRIGGER ordinary BEFORE INSERT ON item FOR EACH ROW EXECUTE FUNCTION note();
            CREATE TRIGGER always BEFORE INSERT ON item FOR EACH ROW EXECUTE FUNCTION note();
            ALTER TABLE item ENABLE ALWAYS TRIGGER always;
            ALTER TABLE item ADD FOREIGN KEY (parent) REFERENCES other;
            CREATE RULE no_inserts AS ON INSERT TO other DO INSTEAD NOTHING;
            """);

        await stream.SourceAsync("INSERT INTO item VALUES (1, 77); INSERT INTO other VALUES (5)");
        await stream.CatchUpAsync();

        Assert.Equal(["always"], await StreamHarness.ColumnAsync(stream.Target, "SELECT what FROM seen"));
        Assert.Equal(77, await StreamHarness.ScalarAsync(stream.Target, "SELECT parent FROM item"));
        Assert.Equal(5, await StreamHarness.ScalarAsync(stream.Target, "SELECT id FROM other"));
    }

    [Fact]
    public async Task Changes_of_rows_that_the_target_lacks_are_counted_and_the_others_go_on()
    {
        await using var stream = await StreamHarness.CreateAsync(
            "CREATE TABLE item (id int PRIMARY KEY, v text); INSERT INTO item SELECT i, 'old' FROM generate_series(1, 9) i; " +
            "CREATE TABLE whole (a int, b text); ALTER TABLE whole REPLICA IDENTITY FULL; INSERT INTO whole VALUES (1, 'x'), (2, 'y')");
        await stream.StartAndCatchUpAsync();
        await stream.TargetAsync("DELETE FROM item WHERE id IN (2, 3); DELETE FROM whole WHERE a = 1");

        await stream.SourceAsync("UPDATE item SET v = 'new' WHERE id <= 2; DELETE FROM item WHERE id IN (3, 4); UPDATE whole SET b = b || '!'; INSERT INTO item VALUES (10, 'more')");
        await stream.CatchUpAsync();

        Assert.Equal(3, stream.Pipeline!.Status.MissingRows);
        Assert.Equal(["1 new", "10 more"], await StreamHarness.ColumnAsync(stream.Target, "SELECT id || ' ' || v FROM item WHERE v <> 'old' ORDER BY id"));
        Assert.Equal(["2 y!"], await StreamHarness.ColumnAsync(stream.Target, "SELECT a || ' ' || b FROM whole"));
    }

    [Fact]
    public async Task A_row_that_is_there_before_its_insert_stops_the_stream_until_somebody_decides()
    {
        await using var stream = await StreamHarness.CreateAsync("CREATE TABLE item (id int PRIMARY KEY, v text)");
        await stream.StartAndCatchUpAsync();
        await stream.TargetAsync("INSERT INTO item VALUES (1, 'mine')");

        await stream.SourceAsync("BEGIN; INSERT INTO item VALUES (2, 'before'); INSERT INTO item VALUES (1, 'theirs'); COMMIT");
        var failure = await stream.FailureAsync();

        Assert.Equal(StreamErrorKind.Data, failure.Kind);
        Assert.Contains("item_pkey", failure.Message, StringComparison.Ordinal);
        Assert.Equal(["mine"], await StreamHarness.ColumnAsync(stream.Target, "SELECT v FROM item"));
        await stream.TargetAsync("DELETE FROM item");
        await stream.StartAndCatchUpAsync();
        await stream.AssertEqualAsync();
    }
}
