using Tributary.Postgres;
using Tributary.Testing;

namespace Tributary.Streaming.Tests.Faults;

/// <summary>What becomes of the source and its slot while a stream hangs on them.</summary>
public sealed class SourceChangeTests
{
    const string Table = "CREATE TABLE item (id int PRIMARY KEY); INSERT INTO item VALUES (1)";

    static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_slot_that_is_dropped_and_made_again_under_a_running_stream_stops_it()
    {
        await using var stream = await StreamHarness.CreateAsync(Table);
        await stream.StartAndCatchUpAsync();
        var slot = stream.Options.SlotName;

        // One batch on one connection, so that the stream's own attempts find either no slot or the new one.
        await stream.SourceAsync(
            $"""
            DO $$ BEGIN
                LOOP
                    PERFORM pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '{slot}' AND active;
                    BEGIN
                        PERFORM pg_drop_replication_slot('{slot}');
                        EXIT;
                    EXCEPTION WHEN object_in_use THEN
                        PERFORM pg_sleep(0.001);
                    END;
                END LOOP;
            END $$
            """);
        var failure = await stream.FailureAsync();

        Assert.Equal(StreamErrorKind.Gap, failure.Kind);
        await stream.SourceAsync("INSERT INTO item VALUES (2)");
        await stream.SourceAsync($"SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')");
        stream.Start();
        Assert.Equal(StreamErrorKind.Gap, (await stream.FailureAsync()).Kind);
        Assert.Equal(["1"], await StreamHarness.ColumnAsync(stream.Target, "SELECT id::text FROM item"));
    }

    [Fact]
    public async Task A_slot_whose_log_was_removed_stops_the_stream()
    {
        await using var source = await TestServers.StartAsync(["wal_level = logical", "max_slot_wal_keep_size = 1MB", "min_wal_size = 32MB", "max_wal_size = 32MB"]);
        await using var stream = await StreamHarness.CreateAsync(source, await TestServers.SharedAsync(), Table);
        await stream.StartAndCatchUpAsync();
        await stream.StopAsync();

        for (var segment = 0; segment < 4; segment++)
        {
            await stream.SourceAsync($"INSERT INTO item VALUES ({segment + 10})");
            await stream.SourceAsync("SELECT pg_switch_wal()");
        }

        await stream.SourceAsync("CHECKPOINT");
        Assert.Equal("lost", await StreamHarness.ScalarAsync(stream.Source, "SELECT wal_status FROM pg_replication_slots"));
        stream.Start();
        var failure = await stream.FailureAsync();

        Assert.Equal(StreamErrorKind.Gap, failure.Kind);
        Assert.Contains("stream destroy", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_source_that_restarts_in_order_neither_waits_for_the_stream_nor_loses_it()
    {
        await using var source = await TestServers.StartAsync(["wal_level = logical"]);
        await using var stream = await StreamHarness.CreateAsync(source, await TestServers.SharedAsync(), BankLoad.Schema);
        stream.Options = stream.Options with { ReconnectDelayMax = TimeSpan.FromMilliseconds(100) };
        await stream.StartAndCatchUpAsync();
        await using var load = BankLoad.Start(stream.Source);

        for (var restart = 0; restart < 2; restart++)
        {
            var before = stream.Pipeline!.Status.Transactions;
            await stream.WaitAsync(status => status.Transactions > before + 20);
            await source.StopAsync("INT", Cancelled).WaitAsync(TimeSpan.FromSeconds(20), Cancelled);
            await source.StartAsync(Cancelled);
        }

        await load.StopAsync();
        await stream.CatchUpAsync();
        Assert.True(stream.Pipeline!.Status.Reconnections >= 2);
        await load.AssertCarriedAsync(stream);
    }

    [Fact]
    public async Task A_promoted_standby_without_the_slot_is_not_taken_for_the_source()
    {
        await using var primary = await TestServers.StartAsync(["wal_level = logical"]);
        await using var stream = await StreamHarness.CreateAsync(primary, await TestServers.SharedAsync(), Table);
        await stream.StartAndCatchUpAsync();
        await using var standby = await StandbyServer.StartAsync(primary, Cancelled);
        try
        {
            var failedOver = stream.Options.Source with { Port = standby.Port };
            var connection = standby.ConnectionString(failedOver.Database);
            await standby.UntilAsync(failedOver.Database, "SELECT EXISTS (SELECT FROM item)");
            await stream.StopAsync();
            await primary.StopAsync("INT", Cancelled);
            Assert.Equal(true, await StreamHarness.ScalarAsync(connection, "SELECT pg_promote()"));

            await RefusedAsync(stream, failedOver);
            // A slot of that name, made after the failover as an operator would, begins behind what was committed since.
            await StreamHarness.ScalarAsync(connection, "INSERT INTO item VALUES (2) RETURNING 1");
            await StreamHarness.ScalarAsync(connection, $"SELECT pg_create_logical_replication_slot('{stream.Options.SlotName}', 'pgoutput')");
            await RefusedAsync(stream, failedOver);
            Assert.Equal(["1"], await StreamHarness.ColumnAsync(stream.Target, "SELECT id::text FROM item"));
        }
        finally
        {
            await primary.StartAsync(CancellationToken.None);
        }
    }

    static async Task RefusedAsync(StreamHarness stream, PostgresUrl source)
    {
        var genuine = stream.Options;
        stream.Options = genuine with { Source = source };
        stream.Start();
        var failure = await stream.FailureAsync();
        stream.Options = genuine;
        Assert.Equal(StreamErrorKind.Gap, failure.Kind);
    }
}
