using Npgsql;
using Tributary.Postgres.Programs;
using Tributary.Testing;

namespace Tributary.Streaming.Tests;

/// <summary>Transactions that exceed the budgets of memory, at the source and here.</summary>
public sealed class LargeTransactionTests
{
    // The server sends parts of a transaction before its commit as soon as that exceeds this, its least.
    const string Eagerly = "logical_decoding_work_mem = 64kB";

    const string Schema =
        """
        CREATE TABLE item (id int PRIMARY KEY, n int, body text);
        CREATE TABLE log (line text);
        CREATE TABLE doc (id int PRIMARY KEY, body text, other text);
        ALTER TABLE doc ALTER body SET STORAGE EXTERNAL;
        INSERT INTO item SELECT i, i, 'old' FROM generate_series(1, 1000) i;
        INSERT INTO doc SELECT i, repeat(md5(i::text), 200), 'o' FROM generate_series(1, 50) i;
        """;

    static readonly Lazy<Task<PostgresServer>> Source = new(() => TestServers.StartAsync(
        ["wal_level = logical", Eagerly, "max_prepared_transactions = 10", "max_replication_slots = 50", "max_wal_senders = 20"]));

    static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Whatever_one_transaction_does_arrives_whole(bool sourceStreams)
    {
        await using var stream = await CreateAsync();
        stream.Options = stream.Options with { StreamsOpenTransactions = sourceStreams, TransactionBytesMax = 100_000 };
        await stream.StartAndCatchUpAsync();

        await stream.SourceAsync(
            """
            BEGIN;
            INSERT INTO item SELECT i, i, E'tab\t nl\n cr\r back\\ \\N ' || repeat('é', i % 50) FROM generate_series(1001, 6000) i;
            INSERT INTO item VALUES (0, NULL, ''), (-1, 1, NULL), (-2, 2, '\.');
            UPDATE item SET n = n + 1 WHERE id % 3 = 0;
            UPDATE item SET id = id + 100000 WHERE id BETWEEN 10 AND 500;
            DELETE FROM item WHERE id % 7 = 0;
            UPDATE doc SET other = 'touched'; UPDATE doc SET id = id + 1000 WHERE id > 25;
            INSERT INTO log SELECT 'first ' || i FROM generate_series(1, 2000) i;
            SELECT pg_logical_emit_message(true, 'p', repeat('x', 1000));
            TRUNCATE log;
            INSERT INTO log SELECT 'second ' || i FROM generate_series(1, 2000) i;
            COMMIT
            """);
        await stream.CatchUpAsync();

        await stream.AssertEqualAsync();
        Assert.Equal(0, stream.Pipeline!.Status.MissingRows);
        Assert.Empty(SpoolFiles(stream));
    }

    [Fact]
    public async Task A_command_that_a_savepoint_undoes_is_not_carried_from_an_open_transaction()
    {
        await using var stream = await CreateAsync();
        await stream.StartAndCatchUpAsync();

        // The server sends each part while the transaction is open, the command with the first.
        await stream.SourceAsync(
            """
            BEGIN;
            INSERT INTO item SELECT i, 1, repeat('a', 100) FROM generate_series(2001, 4000) i;
            SAVEPOINT s;
            ALTER TABLE doc ADD undone int DEFAULT 5;
            DROP TABLE log;
            INSERT INTO item SELECT i, 2, repeat('b', 100) FROM generate_series(4001, 8000) i;
            ROLLBACK TO s;
            ALTER TABLE doc ADD kept int DEFAULT 6;
            INSERT INTO item SELECT i, 3, repeat('c', 100) FROM generate_series(4001, 6000) i;
            INSERT INTO log VALUES ('there');
            COMMIT
            """);
        await stream.CatchUpAsync();

        await AssertStreamedAsync(stream);
        await stream.AssertEqualAsync();
        Assert.Equal("id,body,other,kept", await StreamHarness.ScalarAsync(stream.Target, "SELECT string_agg(attname, ',' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'doc'::regclass AND attnum > 0 AND NOT attisdropped"));
    }

    [Fact]
    public async Task What_savepoints_undo_is_left_out_and_what_they_keep_is_there()
    {
        await using var stream = await CreateAsync();
        await stream.StartAndCatchUpAsync();

        await stream.SourceAsync(
            """
            BEGIN;
            INSERT INTO item SELECT i, 1, repeat('a', 100) FROM generate_series(2001, 4000) i;
            SAVEPOINT outer_one;
            INSERT INTO item SELECT i, 2, repeat('b', 100) FROM generate_series(4001, 6000) i;
            SAVEPOINT inner_one;
            DELETE FROM item WHERE id <= 1000; UPDATE item SET n = 9 WHERE id > 3000;
            RELEASE inner_one;
            ROLLBACK TO outer_one;
            INSERT INTO item SELECT i, 3, repeat('c', 100) FROM generate_series(4001, 6000) i;
            SAVEPOINT kept;
            UPDATE item SET n = 4 WHERE id BETWEEN 4001 AND 5000;
            RELEASE kept;
            COMMIT
            """);
        // Ten thousand subtransactions, each second one undone.
        await stream.SourceAsync(
            """
            DO $$ BEGIN FOR i IN 1..10000 LOOP
                BEGIN
                    INSERT INTO log VALUES ('line ' || i);
                    IF i % 2 = 0 THEN RAISE EXCEPTION 'undo'; END IF;
                EXCEPTION WHEN raise_exception THEN NULL;
                END;
            END LOOP; END $$
            """);
        await stream.CatchUpAsync();

        await AssertStreamedAsync(stream);
        await stream.AssertEqualAsync();
        Assert.Equal(5000L, await StreamHarness.ScalarAsync(stream.Target, "SELECT count(*) FROM log"));
    }

    [Fact]
    public async Task Open_transactions_arrive_beside_each_other_and_an_undone_one_leaves_nothing()
    {
        await using var stream = await CreateAsync();
        await stream.StartAndCatchUpAsync();
        await using var first = await OpenAsync(stream.Source);
        await using var second = await OpenAsync(stream.Source);
        await using var third = await OpenAsync(stream.Source);

        for (var round = 0; round < 5; round++)
        {
            await RunAsync(first, $"INSERT INTO item SELECT 10000 + {round} * 1000 + i, 1, repeat('a', 200) FROM generate_series(1, 1000) i");
            await RunAsync(second, $"INSERT INTO item SELECT 20000 + {round} * 1000 + i, 2, repeat('b', 200) FROM generate_series(1, 1000) i");
            await RunAsync(third, $"INSERT INTO item SELECT 30000 + {round} * 1000 + i, 3, repeat('c', 200) FROM generate_series(1, 1000) i");
            await stream.SourceAsync($"INSERT INTO log VALUES ('between {round}')");
            await stream.CatchUpAsync();
        }

        await stream.WaitAsync(status => status.InFlight.SpoolBytes > 1_000_000);
        Assert.Equal(1000L, await StreamHarness.ScalarAsync(stream.Target, "SELECT count(*) FROM item"));
        await RunAsync(second, "ROLLBACK");
        await RunAsync(third, "UPDATE item SET n = 33 WHERE id > 30000; COMMIT");
        await RunAsync(first, "COMMIT");
        await stream.CatchUpAsync();

        await stream.AssertEqualAsync();
        await StreamHarness.UntilAsync(() => Task.FromResult(SpoolFiles(stream).Length == 0));
        await stream.WaitAsync(status => status.InFlight.SpoolBytes == 0);
    }

    [Fact]
    public async Task An_open_transaction_is_written_ahead_and_seen_only_after_its_commit()
    {
        await using var stream = await CreateAsync();
        await stream.StartAndCatchUpAsync();
        await using var open = await OpenAsync(stream.Source);

        await stream.SourceAsync("INSERT INTO item SELECT i, i, 'before' FROM generate_series(1001, 2000) i");
        await RunAsync(open, "UPDATE item SET body = repeat('u', 300) WHERE id > 500; INSERT INTO item SELECT i, 1, repeat('a', 200) FROM generate_series(2001, 4000) i");
        await RunAsync(open, "SAVEPOINT one; DELETE FROM item WHERE id <= 900; INSERT INTO log SELECT repeat('l', 100) FROM generate_series(1, 1000)");
        await WrittenAheadAsync(stream);
        await RunAsync(open, "ROLLBACK TO one; SAVEPOINT two; UPDATE item SET n = -1 WHERE id <= 100; INSERT INTO log SELECT repeat('m', 100) FROM generate_series(1, 1000)");
        await stream.SourceAsync("INSERT INTO item VALUES (9999, 1, 'beside')");
        await stream.CatchUpAsync();
        await WrittenAheadAsync(stream);
        Assert.Equal(2001L, await StreamHarness.ScalarAsync(stream.Target, "SELECT count(*) FROM item"));
        await RunAsync(open, "COMMIT");
        await stream.CatchUpAsync();

        await stream.AssertEqualAsync();
        Assert.Equal(0, stream.Pipeline!.Status.MissingRows);
        Assert.Equal(0, stream.Pipeline.Status.Reconnections);
    }

    [Fact]
    public async Task What_is_written_ahead_gives_way_to_the_ordinary_writes()
    {
        await using var stream = await CreateAsync();
        await stream.StartAndCatchUpAsync();
        // The target's own trigger makes any two writers wait for each other.
        await stream.TargetAsync(
            """
            CREATE FUNCTION alone() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_catalog.pg_advisory_xact_lock(7); RETURN NEW; END';
            CREATE TRIGGER alone BEFORE INSERT ON item FOR EACH ROW EXECUTE FUNCTION alone(); ALTER TABLE item ENABLE ALWAYS TRIGGER alone;
            CREATE TRIGGER alone BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION alone(); ALTER TABLE log ENABLE ALWAYS TRIGGER alone;
            """);
        await using var open = await OpenAsync(stream.Source);

        await RunAsync(open, "INSERT INTO item SELECT i, 1, repeat('a', 200) FROM generate_series(2001, 4000) i");
        await WrittenAheadAsync(stream);
        await stream.SourceAsync("INSERT INTO log VALUES ('must not wait')");
        await stream.CatchUpAsync();
        await RunAsync(open, "COMMIT");
        await stream.CatchUpAsync();

        await stream.AssertEqualAsync();
        Assert.Equal(0, stream.Pipeline!.Status.Reconnections);
    }

    [Fact]
    public async Task Killing_the_process_while_large_transactions_arrive_loses_and_doubles_nothing()
    {
        await using var stream = await CreateAsync();
        var random = new Random(20262);
        await stream.StartAndCatchUpAsync();
        await stream.StopAsync();
        await using var open = await OpenAsync(stream.Source);
        var spool = Path.Combine(stream.Options.SpoolFolder, "spool", stream.Options.Name);

        for (var round = 1; round <= 5; round++)
        {
            using var process = await CrashTests.StartProgramAsync(stream);
            var write = RunAsync(open, $"INSERT INTO item SELECT {round} * 100000 + i, 1, repeat('a', 300) FROM generate_series(1, 8000) i; UPDATE item SET n = n + 1 WHERE id < 500");
            await stream.SourceAsync($"INSERT INTO log SELECT 'round {round} ' || i FROM generate_series(1, 10000) i");
            await write;
            await StreamHarness.UntilAsync(() => Task.FromResult(Directory.Exists(spool) && Directory.GetFiles(spool, "*.spool").Length > 0));
            await Task.Delay(TimeSpan.FromMilliseconds(random.Next(0, 500)), TimeProvider.System, Cancelled);
            if (round % 2 == 0)
                await RunAsync(open, "COMMIT; BEGIN");
            await Task.Delay(TimeSpan.FromMilliseconds(random.Next(0, 300)), TimeProvider.System, Cancelled);
            Assert.False(process.HasExited, $"The program ended by itself with code {(process.HasExited ? process.ExitCode : 0)}.");
            process.Kill();
            await process.WaitForExitAsync(Cancelled);
        }

        await RunAsync(open, "COMMIT");
        await stream.StartAndCatchUpAsync();

        await AssertStreamedAsync(stream);
        await stream.AssertEqualAsync();
    }

    [Fact]
    public async Task A_shape_that_is_changed_and_undone_in_an_open_transaction_does_not_reach_others()
    {
        await using var stream = await CreateAsync();
        await stream.StartAndCatchUpAsync();
        await using var open = await OpenAsync(stream.Source);

        await RunAsync(open, "INSERT INTO item SELECT i, 1, repeat('a', 200) FROM generate_series(2001, 4000) i; ALTER TABLE item ADD extra int; ALTER TABLE item DROP body");
        await RunAsync(open, "INSERT INTO item SELECT i, 1, 5 FROM generate_series(4001, 9000) i");
        await RunAsync(open, "ROLLBACK");
        await stream.SourceAsync("INSERT INTO item VALUES (2001, 1, 'after'); UPDATE item SET body = 'seen' WHERE id < 10");
        await stream.SourceAsync("INSERT INTO item SELECT i, 1, repeat('d', 200) FROM generate_series(4001, 6000) i");
        await stream.CatchUpAsync();

        await stream.AssertEqualAsync();
    }

    [Fact]
    public async Task Prepared_transactions_arrive_at_their_commit_and_never_when_rolled_back()
    {
        await using var stream = await CreateAsync();
        await stream.StartAndCatchUpAsync();

        await stream.SourceAsync("BEGIN; INSERT INTO item SELECT i, 1, repeat('a', 200) FROM generate_series(2001, 4000) i; PREPARE TRANSACTION 'kept'");
        await stream.SourceAsync("BEGIN; INSERT INTO item SELECT i, 1, repeat('a', 200) FROM generate_series(5001, 7000) i; PREPARE TRANSACTION 'undone'");
        await stream.SourceAsync("INSERT INTO log VALUES ('between')");
        await stream.CatchUpAsync();
        Assert.Equal(1000L, await StreamHarness.ScalarAsync(stream.Target, "SELECT count(*) FROM item"));
        await stream.SourceAsync("COMMIT PREPARED 'kept'");
        await stream.SourceAsync("ROLLBACK PREPARED 'undone'");
        await stream.CatchUpAsync();

        await stream.AssertEqualAsync();
    }

    [Fact]
    public async Task Only_the_order_of_the_source_may_satisfy_a_unique_column()
    {
        await using var stream = await CreateAsync("CREATE TABLE seat (id int PRIMARY KEY, n int UNIQUE, pad text); INSERT INTO seat SELECT i, i, repeat('p', 300) FROM generate_series(1, 500) i");
        await stream.StartAndCatchUpAsync();

        await stream.SourceAsync("DO $$ BEGIN FOR i IN REVERSE 500..1 LOOP UPDATE seat SET n = i + 1, pad = pad || 'q' WHERE n = i; END LOOP; END $$");
        await stream.CatchUpAsync();

        await stream.AssertEqualAsync();
    }

    [Fact]
    public async Task A_row_that_the_target_refuses_stops_the_stream_and_a_restart_goes_on()
    {
        await using var stream = await CreateAsync();
        await stream.StartAndCatchUpAsync();
        await stream.TargetAsync("ALTER TABLE item ADD CONSTRAINT small CHECK (n < 4000)");

        await stream.SourceAsync("INSERT INTO item SELECT i, i, repeat('secret', 50) FROM generate_series(1001, 5000) i");
        var failure = await stream.FailureAsync();
        Assert.Equal(StreamErrorKind.Data, failure.Kind);
        Assert.Contains("small", failure.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", $"{failure}", StringComparison.Ordinal);
        Assert.Equal(1000L, await StreamHarness.ScalarAsync(stream.Target, "SELECT count(*) FROM item"));
        await stream.TargetAsync("ALTER TABLE item DROP CONSTRAINT small");
        await stream.StartAndCatchUpAsync();

        await stream.AssertEqualAsync();
    }

    /// <summary>The source did send parts of open transactions; otherwise a test would prove nothing.</summary>
    static Task AssertStreamedAsync(StreamHarness stream) => StreamHarness.UntilAsync(async () => (long)(await StreamHarness.ScalarAsync(
        stream.Source, $"SELECT stream_count FROM pg_stat_replication_slots WHERE slot_name = '{stream.Options.SlotName}'"))! > 1);

    static Task WrittenAheadAsync(StreamHarness stream) => StreamHarness.UntilAsync(async () => (long)(await StreamHarness.ScalarAsync(
        stream.Target,
        $"SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tributary {stream.Options.Name}' AND state = 'idle in transaction' AND backend_xid IS NOT NULL"))! == 1);

    static async Task<StreamHarness> CreateAsync(string schema = Schema)
    {
        var stream = await StreamHarness.CreateAsync(await Source.Value, await TestServers.SharedAsync(), schema);
        // Small pieces, so that a few thousand rows make many.
        stream.Options = stream.Options with { SpoolPieceBytes = 16 * 1024 };
        return stream;
    }

    static string[] SpoolFiles(StreamHarness stream) => Directory.GetFiles(stream.Options.SpoolFolder, "*.spool");

    static async Task<NpgsqlConnection> OpenAsync(string connectionString)
    {
        var connection = new NpgsqlConnection(connectionString);
        await connection.OpenAsync(Cancelled);
        await RunAsync(connection, "BEGIN");
        return connection;
    }

    static async Task RunAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(Cancelled);
    }
}
