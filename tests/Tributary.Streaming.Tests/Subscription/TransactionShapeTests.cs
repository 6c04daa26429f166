using Npgsql;
using Tributary.Testing;

namespace Tributary.Streaming.Tests.Subscription;

/// <summary>
/// Transactions of every shape that Postgres's own subscriptions are tested with (src/test/subscription/t, 015 to 023): large, interleaved,
/// in subtransactions, undone in part or whole, prepared. The source decodes with the least memory, so that large ones leave it before their commit.
/// </summary>
public sealed class TransactionShapeTests
{
    const string Table = "CREATE TABLE item (id int PRIMARY KEY, v text); INSERT INTO item VALUES (-1, 'old')";

    static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Large_transactions_that_overlap_are_carried_in_the_order_of_their_commits()
    {
        await using var stream = await CreateAsync();
        await using var first = await OpenAsync(stream.Source);
        await using var second = await OpenAsync(stream.Source);

        // The first to begin is the last to commit, and between come small ones and one that is undone.
        await RunAsync(first, "BEGIN; INSERT INTO item SELECT i, 'first' FROM generate_series(1, 3000) i");
        await RunAsync(second, "BEGIN; INSERT INTO item SELECT i, 'second' FROM generate_series(10001, 13000) i");
        await stream.SourceAsync("INSERT INTO item VALUES (20001, 'small')");
        await RunAsync(first, "UPDATE item SET v = v || '!' WHERE id BETWEEN 1 AND 3000");
        await stream.SourceAsync("BEGIN; INSERT INTO item SELECT i, 'undone' FROM generate_series(30001, 33000) i; ROLLBACK");
        await RunAsync(second, "DELETE FROM item WHERE id BETWEEN 10001 AND 11000; COMMIT");
        await stream.SourceAsync("UPDATE item SET v = 'after the second' WHERE id = 12000");
        await RunAsync(first, "UPDATE item SET v = 'taken' WHERE id = 13000; COMMIT");
        await stream.CatchUpAsync();

        await stream.AssertEqualAsync();
        Assert.Equal(0, stream.Pipeline!.Status.MissingRows);
    }

    [Fact]
    public async Task Parts_that_are_undone_are_not_seen_and_what_follows_them_is()
    {
        await using var stream = await CreateAsync();

        await stream.SourceAsync(
            """
            BEGIN;
            INSERT INTO item SELECT i, 'kept' FROM generate_series(1, 1500) i;
            SAVEPOINT a; INSERT INTO item SELECT i, 'undone' FROM generate_series(2001, 3500) i;
            SAVEPOINT b; UPDATE item SET v = 'undone too';
            ROLLBACK TO a;
            INSERT INTO item SELECT i, 'again' FROM generate_series(2001, 2100) i;
            SAVEPOINT c; DELETE FROM item WHERE id <= 100; RELEASE c;
            SAVEPOINT d; TRUNCATE item; ROLLBACK TO d;
            SAVEPOINT e; INSERT INTO item SELECT i, 'released' FROM generate_series(5001, 6500) i; RELEASE e;
            COMMIT
            """);
        await stream.SourceAsync("DO $$ BEGIN FOR i IN 1..500 LOOP BEGIN INSERT INTO item VALUES (10000 + i, 'sub'); IF i % 3 = 0 THEN RAISE EXCEPTION 'undo'; END IF; EXCEPTION WHEN raise_exception THEN NULL; END; END LOOP; END $$");
        await stream.SourceAsync("BEGIN; INSERT INTO item SELECT i, 'undone' FROM generate_series(20001, 23000) i; SAVEPOINT s; DELETE FROM item; ROLLBACK");
        await stream.CatchUpAsync();

        await stream.AssertEqualAsync();
    }

    [Fact]
    public async Task A_stream_that_stops_amid_a_large_transaction_carries_it_whole_later()
    {
        await using var stream = await CreateAsync();
        await using var writer = await OpenAsync(stream.Source);

        await RunAsync(writer, "BEGIN; INSERT INTO item SELECT i, 'before' FROM generate_series(1, 3000) i");
        await stream.CatchUpAsync();
        await stream.StopAsync();
        await RunAsync(writer, "INSERT INTO item SELECT i, 'meanwhile' FROM generate_series(3001, 6000) i");
        await stream.StartAndCatchUpAsync();
        Assert.Equal(1L, await StreamHarness.ScalarAsync(stream.Target, "SELECT count(*) FROM item"));
        await RunAsync(writer, "INSERT INTO item VALUES (9000, 'last'); COMMIT");
        await stream.CatchUpAsync();

        await stream.AssertEqualAsync();
    }

    [Fact]
    public async Task Prepared_transactions_are_seen_when_they_are_committed_and_never_when_they_are_not()
    {
        await using var stream = await CreateAsync();
        var (kept, undone, large) = ($"kept {stream.Options.Name}", $"undone {stream.Options.Name}", $"large {stream.Options.Name}");

        await stream.SourceAsync($"BEGIN; INSERT INTO item VALUES (1, 'kept'); PREPARE TRANSACTION '{kept}'");
        await stream.SourceAsync($"BEGIN; INSERT INTO item VALUES (2, 'undone'); PREPARE TRANSACTION '{undone}'");
        await stream.SourceAsync($"BEGIN; SAVEPOINT s; INSERT INTO item SELECT i, 'large' FROM generate_series(10001, 13000) i; RELEASE s; PREPARE TRANSACTION '{large}'");
        await stream.SourceAsync("INSERT INTO item VALUES (3, 'between')");
        await stream.CatchUpAsync();
        Assert.Equal(["-1", "3"], await StreamHarness.ColumnAsync(stream.Target, "SELECT id::text FROM item ORDER BY id"));
        await stream.StopAsync();
        await stream.SourceAsync($"ROLLBACK PREPARED '{undone}'");
        await stream.StartAndCatchUpAsync();
        await stream.SourceAsync($"COMMIT PREPARED '{kept}'");
        await stream.SourceAsync($"COMMIT PREPARED '{large}'");
        await stream.CatchUpAsync();

        await stream.AssertEqualAsync();
        Assert.Equal(3003L, await StreamHarness.ScalarAsync(stream.Target, "SELECT count(*) FROM item"));
    }

    [Fact]
    public async Task Messages_in_the_log_and_transactions_without_rows_disturb_nothing()
    {
        await using var stream = await CreateAsync();

        await stream.SourceAsync("SELECT pg_logical_emit_message(false, '', repeat('x', 100000)), pg_logical_emit_message(false, 'tributary.heartbeat', 'not ours')");
        await stream.SourceAsync("BEGIN; SELECT pg_logical_emit_message(true, 'app', 'in'); INSERT INTO item VALUES (1, 'a'); SELECT pg_logical_emit_message(false, 'app', 'beside'); COMMIT");
        await stream.SourceAsync("BEGIN; INSERT INTO item VALUES (2, 'undone'); SELECT pg_logical_emit_message(true, 'app', repeat('x', 100000)), pg_logical_emit_message(false, 'app', 'stays'); ROLLBACK");
        await stream.SourceAsync("BEGIN; SELECT pg_logical_emit_message(true, 'only', 'a message'); COMMIT");
        await stream.SourceAsync("CREATE TEMP TABLE passing (id int); INSERT INTO passing SELECT generate_series(1, 100)");
        await stream.SourceAsync("UPDATE item SET v = 'b' WHERE false; SELECT txid_current()");
        await stream.CatchUpAsync();

        await stream.AssertEqualAsync();
        Assert.Equal(1, stream.Pipeline!.Status.Changes.Total);
    }

    static async Task<StreamHarness> CreateAsync()
    {
        var stream = await StreamHarness.CreateAsync(Table);
        await stream.SourceAsync($"ALTER DATABASE {stream.Options.Source.Database} SET logical_decoding_work_mem = '64kB'");
        await stream.StartAndCatchUpAsync();
        return stream;
    }

    static async Task<NpgsqlConnection> OpenAsync(string connectionString)
    {
        var connection = new NpgsqlConnection(connectionString);
        await connection.OpenAsync(Cancelled);
        return connection;
    }

    static async Task RunAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(Cancelled);
    }

    [Fact]
    public async Task What_came_from_another_server_is_left_out_on_request()
    {
        var server = await TestServers.ForMajorAsync(16);
        await using var stream = await StreamHarness.CreateAsync(server, server, "CREATE TABLE item (id int PRIMARY KEY)");
        stream.Options = stream.Options with { LocalChangesOnly = true };
        await stream.StartAndCatchUpAsync();
        var origin = $"elsewhere_{Guid.NewGuid():N}";

        await stream.SourceAsync($"SELECT pg_replication_origin_create('{origin}')");
        await stream.SourceAsync($"SELECT pg_replication_origin_session_setup('{origin}'); INSERT INTO item VALUES (1); SELECT pg_replication_origin_session_reset()");
        await stream.SourceAsync("INSERT INTO item VALUES (2)");
        await stream.CatchUpAsync();

        Assert.Equal(["2"], await StreamHarness.ColumnAsync(stream.Target, "SELECT id::text FROM item"));
        await stream.SourceAsync($"SELECT pg_replication_origin_drop('{origin}')");
    }
}
