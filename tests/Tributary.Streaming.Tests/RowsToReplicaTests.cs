namespace Tributary.Streaming.Tests;

public sealed class RowsToReplicaTests
{
    [Fact]
    public async Task Copies_existing_rows_then_streams_changes()
    {
        await using var stream = await StreamHarness.CreateAsync(
            """
            CREATE TABLE item (id int PRIMARY KEY, name text, price numeric(10,2));
            INSERT INTO item SELECT i, 'item ' || i, i * 1.5 FROM generate_series(1, 1000) i;
            """);

        await stream.StartAndCatchUpAsync();
        await stream.AssertEqualAsync();
        await stream.SourceAsync("INSERT INTO item VALUES (1001, 'new', 1)");
        await stream.SourceAsync("UPDATE item SET price = price + 1 WHERE id % 2 = 0");
        await stream.SourceAsync("DELETE FROM item WHERE id % 10 = 0");
        await stream.CatchUpAsync();

        await stream.AssertEqualAsync();
        var status = stream.Pipeline!.Status;
        Assert.Equal(new ChangeCounts(1, 500, 100, 0), status.Changes);
        Assert.Equal(0, status.MissingRows);
        Assert.Equal(1, status.Copy.TablesDone);
        Assert.NotNull(status.LagP99Ms);
    }
}
