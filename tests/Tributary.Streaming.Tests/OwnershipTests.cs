using Tributary.Streaming.Hosting;

namespace Tributary.Streaming.Tests;

/// <summary>What a stream did not make, it does not take away.</summary>
public sealed class OwnershipTests
{
    const string Table = "CREATE TABLE item (id int PRIMARY KEY, v text); INSERT INTO item VALUES (1, 'a');";

    static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("FOR ALL TABLES WITH (publish = 'insert, update, delete')", "leaves out TRUNCATE")]
    [InlineData("FOR ALL TABLES WITH (publish_via_partition_root)", "publish_via_partition_root")]
    [InlineData("FOR TABLE item WHERE (id > 0)", "filters rows")]
    [InlineData("FOR TABLE item (id)", "leaves out columns")]
    public async Task A_publication_that_leaves_something_out_is_refused_and_stays(string what, string reason)
    {
        await using var stream = await StreamHarness.CreateAsync(Table);
        await stream.SourceAsync($"CREATE PUBLICATION {stream.Options.PublicationName} {what}");

        stream.Start();
        var failure = await stream.FailureAsync();
        await StreamTeardown.DestroyAsync(stream.Options, dropCopied: true, Cancelled);

        Assert.Equal(StreamErrorKind.Configuration, failure.Kind);
        Assert.Contains(reason, failure.Message, StringComparison.Ordinal);
        Assert.Single(await StreamHarness.ColumnAsync(stream.Source, "SELECT pubname::text FROM pg_publication"));
    }

    [Fact]
    public async Task Teardown_drops_the_streams_own_publication_and_keeps_another_ones()
    {
        await using var own = await StreamHarness.CreateAsync(Table);
        await using var given = await StreamHarness.CreateAsync(Table);
        await given.SourceAsync($"CREATE PUBLICATION {given.Options.PublicationName} FOR ALL TABLES");
        foreach (var stream in (StreamHarness[])[own, given])
        {
            await stream.StartAndCatchUpAsync();
            await stream.AssertEqualAsync();
            await stream.StopAsync();
            await StreamTeardown.DestroyAsync(stream.Options, dropCopied: false, Cancelled);
        }

        Assert.Empty(await StreamHarness.ColumnAsync(own.Source, "SELECT pubname::text FROM pg_publication"));
        Assert.Single(await StreamHarness.ColumnAsync(given.Source, "SELECT pubname::text FROM pg_publication"));
    }

    [Fact]
    public async Task A_slot_of_the_same_name_that_serves_another_target_is_left_alone()
    {
        await using var first = await StreamHarness.CreateAsync(Table);
        await using var second = await StreamHarness.CreateAsync(Table);
        await first.StartAndCatchUpAsync();
        await first.StopAsync();
        second.Options = first.Options with { Target = second.Options.Target };

        for (var attempt = 0; attempt < 2; attempt++)
        {
            second.Start();
            var failure = await second.FailureAsync();
            Assert.Equal(StreamErrorKind.Configuration, failure.Kind);
            Assert.Contains("may serve the stream of another target", failure.Message, StringComparison.Ordinal);
        }

        var destruction = await Assert.ThrowsAsync<StreamException>(() => StreamTeardown.DestroyAsync(second.Options, dropCopied: true, Cancelled));
        Assert.Equal(StreamErrorKind.Configuration, destruction.Kind);
        await first.SourceAsync("INSERT INTO item VALUES (2, 'b')");
        await first.StartAndCatchUpAsync();
        await first.AssertEqualAsync();
    }

    [Theory]
    [InlineData("CREATE VIEW mine AS SELECT id FROM item", "view public.mine", "SELECT relname::text FROM pg_class WHERE relname = 'mine'")]
    [InlineData("CREATE TABLE mine (item_id int REFERENCES item)", "mine_item_id_fkey on public.mine", "SELECT conname::text FROM pg_constraint WHERE conname = 'mine_item_id_fkey'")]
    [InlineData("CREATE TABLE mine (m mood)", "table column public.mine.m", "SELECT attname::text FROM pg_attribute WHERE attrelid = 'mine'::regclass AND attname = 'm'")]
    [InlineData("CREATE TABLE shop.mine (m int)", "table shop.mine", "SELECT relname::text FROM pg_class WHERE relname = 'mine'")]
    public async Task What_a_user_built_upon_the_copy_stops_its_removal(string own, string named, string exists)
    {
        await using var stream = await StreamHarness.CreateAsync(
            $"{Table} CREATE TYPE mood AS ENUM ('sad'); CREATE SCHEMA shop; CREATE TABLE a (id serial PRIMARY KEY, b int); " +
            "CREATE TABLE b (id int PRIMARY KEY REFERENCES a); ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b; CREATE VIEW both_of AS SELECT a.id FROM a, b;");
        await stream.StartAndCatchUpAsync();
        await stream.StopAsync();
        await stream.TargetAsync(own);

        var failure = await Assert.ThrowsAsync<StreamException>(() => StreamTeardown.DestroyAsync(stream.Options, dropCopied: true, Cancelled));
        Assert.Contains(named, failure.Message, StringComparison.Ordinal);
        Assert.Single(await StreamHarness.ColumnAsync(stream.Target, exists));
        await stream.AssertEqualAsync();

        await stream.TargetAsync(own.StartsWith("CREATE VIEW", StringComparison.Ordinal) ? "DROP VIEW mine" : own.Contains("shop", StringComparison.Ordinal) ? "DROP TABLE shop.mine" : "DROP TABLE mine");
        await StreamTeardown.DestroyAsync(stream.Options, dropCopied: true, Cancelled);
        Assert.Empty(await StreamHarness.ColumnAsync(
            stream.Target, "SELECT c.oid::regclass::text FROM pg_class c WHERE oid >= 16384 AND relnamespace <> 'tributary'::regnamespace AND relkind IN ('r', 'v', 'S')"));
        Assert.Empty(await StreamHarness.ColumnAsync(stream.Target, "SELECT nspname::text FROM pg_namespace WHERE nspname = 'shop'"));
    }
}
