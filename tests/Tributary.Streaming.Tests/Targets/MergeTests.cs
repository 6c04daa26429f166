using System.Globalization;

namespace Tributary.Streaming.Tests.Targets;

/// <summary>Many changes of few rows, collected while the stream is stopped, so that they are merged in one batch.</summary>
public sealed class MergeTests
{
    const string Schema =
        """
        CREATE TABLE item (id int, part text, n int UNIQUE DEFERRABLE INITIALLY DEFERRED, small text, large text, PRIMARY KEY (id, part));
        ALTER TABLE item ALTER COLUMN large SET STORAGE EXTERNAL;
        CREATE TABLE full_item (id int PRIMARY KEY, large text, v int);
        ALTER TABLE full_item REPLICA IDENTITY FULL;
        ALTER TABLE full_item ALTER COLUMN large SET STORAGE EXTERNAL;
        CREATE TABLE bag (v int, w text);
        ALTER TABLE bag REPLICA IDENTITY FULL;
        """;

    [Theory]
    [InlineData(1, 1, ValueFormat.Auto)]
    [InlineData(2, 2, ValueFormat.Text)]
    [InlineData(3, 4, ValueFormat.Auto)]
    public async Task Random_histories_end_in_the_sources_rows(int seed, int connections, ValueFormat format)
    {
        await using var stream = await StreamHarness.CreateAsync(Schema);
        stream.Options = stream.Options with { ApplyConnections = connections, BatchRowsMax = connections == 1 ? 10_000 : 40, ValueFormat = format };
        await stream.StartAndCatchUpAsync();
        await stream.StopAsync();
        var random = new Random(seed);

        for (var round = 0; round < 3; round++)
        {
            await stream.SourceAsync(string.Join('\n', Enumerable.Range(0, 60).Select(_ => Transaction(random))));
            await stream.StartAndCatchUpAsync();
            await stream.StopAsync();

            await stream.AssertEqualAsync();
        }
    }

    [Fact]
    public async Task Values_that_change_places_between_rows_arrive()
    {
        await using var stream = await StreamHarness.CreateAsync("CREATE TABLE seat (id int PRIMARY KEY, guest text UNIQUE); INSERT INTO seat VALUES (1, 'a'), (2, 'b'), (3, 'c')");
        await stream.StartAndCatchUpAsync();
        await stream.StopAsync();

        await stream.SourceAsync(
            """
            BEGIN; UPDATE seat SET guest = 'x' WHERE id = 1; UPDATE seat SET guest = 'a' WHERE id = 2; UPDATE seat SET guest = 'b' WHERE id = 1; COMMIT;
            BEGIN; DELETE FROM seat WHERE id = 3; INSERT INTO seat VALUES (4, 'c'); UPDATE seat SET id = 5 WHERE id = 4; INSERT INTO seat VALUES (3, 'd'); COMMIT;
            """);
        await stream.StartAndCatchUpAsync();

        await stream.AssertEqualAsync();
    }

    [Fact]
    public async Task Counts_are_those_of_the_source()
    {
        await using var stream = await StreamHarness.CreateAsync("CREATE TABLE item (id int PRIMARY KEY, v int)");
        await stream.StartAndCatchUpAsync();
        await stream.StopAsync();

        await stream.SourceAsync("BEGIN; INSERT INTO item VALUES (1, 1); UPDATE item SET v = 2; UPDATE item SET v = 3; DELETE FROM item; INSERT INTO item VALUES (1, 4); COMMIT");
        await stream.StartAndCatchUpAsync();

        Assert.Equal((2, 2, 1), (stream.Pipeline!.Status.Changes.Inserts, stream.Pipeline.Status.Changes.Updates, stream.Pipeline.Status.Changes.Deletes));
        Assert.Equal(0, stream.Pipeline.Status.MissingRows);
        await stream.AssertEqualAsync();
    }

    static string Transaction(Random random)
    {
        var statements = Enumerable.Range(0, random.Next(1, 6)).Select(_ => Statement(random));
        return $"BEGIN; {string.Join(' ', statements)} COMMIT;";
    }

    // Few keys, so that each has a history of many changes; what finds no row or a taken key does nothing.
    static string Statement(Random random)
    {
        var (id, other, part) = (random.Next(6), random.Next(6), random.Next(2) == 0 ? "a" : "b");
        var large = $"repeat('{(char)random.Next('a', 'z')}', {random.Next(3000, 5000)})";
        return random.Next(12) switch
        {
            0 or 1 => Text($"INSERT INTO item VALUES ({id}, '{part}', {random.Next()}, 's{other}', {large}) ON CONFLICT (id, part) DO NOTHING;"),
            2 => Text($"UPDATE item SET small = 'u{other}' WHERE id = {id} AND part = '{part}';"),
            3 => Text($"UPDATE item SET n = -n, large = {large} WHERE id = {id};"),
            4 => Text($"UPDATE item SET id = {other} WHERE id = {id} AND part = '{part}' AND NOT EXISTS (SELECT FROM item WHERE id = {other} AND part = '{part}');"),
            5 => Text($"DELETE FROM item WHERE id = {id} AND part = '{part}';"),
            6 => Text($"INSERT INTO full_item VALUES ({id}, {large}, {other}) ON CONFLICT DO NOTHING;"),
            7 => Text($"UPDATE full_item SET v = v + 1 WHERE id = {id};"),
            8 => Text($"DELETE FROM full_item WHERE id = {id};"),
            9 => Text($"INSERT INTO bag VALUES ({id}, NULL), ({id}, '{part}');"),
            10 => Text($"UPDATE bag SET v = {other} WHERE v = {id};"),
            _ => random.Next(20) == 0 ? "TRUNCATE full_item, bag;" : Text($"DELETE FROM bag WHERE ctid = (SELECT min(ctid) FROM bag WHERE v = {id});"),
        };
    }

    static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
