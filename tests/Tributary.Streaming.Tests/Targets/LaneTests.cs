using System.Globalization;
using Npgsql;
using Tributary.Testing;

namespace Tributary.Streaming.Tests.Targets;

/// <summary>Several connections apply at once; whoever reads the target sees states of the source, in its order.</summary>
public sealed class LaneTests
{
    static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_reader_sees_every_transaction_after_those_before_it_and_none_in_part()
    {
        await using var stream = await StreamHarness.CreateAsync(
            "CREATE TABLE account (id int PRIMARY KEY, balance int); INSERT INTO account SELECT i, 100 FROM generate_series(1, 2000) i; CREATE TABLE entry (n int PRIMARY KEY, a int, b int)");
        // Batches of a few transactions, four at a time.
        stream.Options = stream.Options with { ApplyConnections = 4, BatchRowsMax = 24 };
        await stream.StartAndCatchUpAsync();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancelled);
        var seen = WatchAsync(stream.Target, $"tributary {stream.Options.Name}", stop.Token);

        await stream.SourceAsync(
            """
            DO $$ DECLARE a int; b int; BEGIN
                FOR n IN 1 .. 6000 LOOP
                    a := 1 + (random() * 1999)::int; b := 1 + (a + (random() * 1997)::int) % 2000;
                    UPDATE account SET balance = balance - 1 WHERE id = a;
                    UPDATE account SET balance = balance + 1 WHERE id = b;
                    INSERT INTO entry VALUES (n, a, b);
                    COMMIT;
                END LOOP;
            END $$
            """);
        await stream.CatchUpAsync();
        await stop.CancelAsync();

        var (looks, mostAtOnce) = await seen;
        Assert.True(looks > 10, "The reader must have looked while changes came.");
        Assert.True(mostAtOnce > 1, "Batches must have overlapped, or the order was nothing to keep.");
        Assert.Equal(0, stream.Pipeline!.Status.Reconnections);
        await stream.AssertEqualAsync();
    }

    [Fact]
    public async Task Locks_that_keys_do_not_tell_of_are_resolved_by_applying_in_turn()
    {
        await using var stream = await StreamHarness.CreateAsync(
            "CREATE TABLE seat (id int PRIMARY KEY, guest int UNIQUE); INSERT INTO seat SELECT i, i FROM generate_series(1, 30) i");
        stream.Options = stream.Options with { ApplyConnections = 4, BatchRowsMax = 8, ApplyLockTimeout = TimeSpan.FromMilliseconds(50) };
        await stream.StartAndCatchUpAsync();
        await stream.StopAsync();

        // Each transaction frees the guest that the next one seats in another row.
        await stream.SourceAsync(
            "DO $$ BEGIN FOR n IN 1 .. 400 LOOP UPDATE seat SET guest = NULL WHERE guest = 1; UPDATE seat SET guest = 1 WHERE id = 1 + (n * 7) % 30; COMMIT; END LOOP; END $$");
        await stream.StartAndCatchUpAsync();

        Assert.Equal(0, stream.Pipeline!.Status.Reconnections);
        await stream.AssertEqualAsync();
    }

    [Fact]
    public async Task A_row_that_someone_else_holds_is_waited_for()
    {
        await using var stream = await StreamHarness.CreateAsync("CREATE TABLE item (id int PRIMARY KEY, v int); INSERT INTO item SELECT i, 0 FROM generate_series(1, 400) i");
        stream.Options = stream.Options with { ApplyConnections = 3, BatchRowsMax = 40, ApplyLockTimeout = TimeSpan.FromMilliseconds(50) };
        await stream.StartAndCatchUpAsync();
        await using var holder = new NpgsqlConnection(stream.Target);
        await holder.OpenAsync(Cancelled);
        await using (var transaction = await holder.BeginTransactionAsync(Cancelled))
        {
            await using var locking = new NpgsqlCommand("SELECT FROM item WHERE id = 30 FOR UPDATE", holder, transaction);
            await locking.ExecuteNonQueryAsync(Cancelled);
            await stream.SourceAsync("DO $$ BEGIN FOR i IN 1 .. 400 LOOP UPDATE item SET v = i WHERE id = i; COMMIT; END LOOP; END $$");
            const string Waits = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND now() - query_start > interval '200 ms')";
            await StreamHarness.UntilAsync(async () => await StreamHarness.ScalarAsync(stream.Target, Waits) is true);
            Assert.True(await StreamHarness.ScalarAsync(stream.Target, "SELECT count(*) FROM item WHERE v <> 0 AND id >= 30") is 0L, "Nothing behind the held row may be visible.");
        }

        await stream.CatchUpAsync();
        Assert.Equal(0, stream.Pipeline!.Status.Reconnections);
        await stream.AssertEqualAsync();
    }

    [Fact]
    public async Task Lanes_without_an_origin_of_their_own_are_left_out()
    {
        await using var target = await TestServers.StartAsync(["max_replication_slots = 2"]);
        await using var stream = await StreamHarness.CreateAsync(await TestServers.SharedAsync(), target, "CREATE TABLE event (id int PRIMARY KEY)");
        stream.Options = stream.Options with { ApplyConnections = 4 };

        await stream.StartAndCatchUpAsync();
        await stream.SourceAsync("INSERT INTO event SELECT generate_series(1, 100)");
        await stream.CatchUpAsync();

        Assert.Equal(
            2L, await StreamHarness.ScalarAsync(stream.Target, $"SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tributary {stream.Options.Name}'"));
        await stream.AssertEqualAsync();
    }

    // Transactions have a number each, so whatever is visible must be all up to some number, with no money lost.
    static async Task<(int Looks, long MostAtOnce)> WatchAsync(string target, string lane, CancellationToken cancellationToken)
    {
        await using var connection = new NpgsqlConnection(target);
        await connection.OpenAsync(CancellationToken.None);
        await using var command = new NpgsqlCommand(
            "SELECT (SELECT count(*) FROM entry), (SELECT COALESCE(max(n), 0) FROM entry), (SELECT sum(balance) FROM account), " +
            "(SELECT COALESCE(sum(abs(d)), 0) FROM (SELECT id, balance - 100 - (SELECT count(*) FROM entry WHERE b = id) + (SELECT count(*) FROM entry WHERE a = id) FROM account WHERE id < 50) AS x (id, d)), " +
            $"(SELECT count(*) FROM pg_stat_activity WHERE application_name = '{lane}' AND backend_xid IS NOT NULL)", connection);
        var (last, looks, mostAtOnce) = (0L, 0, 0L);
        while (!cancellationToken.IsCancellationRequested)
        {
            await using var reader = await command.ExecuteReaderAsync(CancellationToken.None);
            await reader.ReadAsync(CancellationToken.None);
            var (count, newest, sum) = (reader.GetInt64(0), (long)reader.GetInt32(1), reader.GetInt64(2));
            Assert.Equal(count, newest);
            Assert.Equal(200_000L, sum);
            Assert.Equal("0", reader.GetFieldValue<decimal>(3).ToString(CultureInfo.InvariantCulture));
            Assert.True(newest >= last, "What was visible may not vanish.");
            looks += newest > last ? 1 : 0;
            mostAtOnce = Math.Max(mostAtOnce, reader.GetInt64(4));
            last = newest;
        }

        return (looks, mostAtOnce);
    }
}
