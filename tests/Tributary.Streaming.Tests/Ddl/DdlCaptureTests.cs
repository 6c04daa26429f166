using Npgsql;
using Tributary.Streaming.Hosting;

namespace Tributary.Streaming.Tests.Ddl;

/// <summary>The event triggers at the source: whom they serve, and what they withstand.</summary>
public sealed class DdlCaptureTests
{
    // Its commands are in the copied schema and were described by nobody; what comes later is told by what differs from them.
    [Fact]
    public async Task What_a_transaction_changes_that_is_under_way_when_the_triggers_come_is_remembered()
    {
        await using var stream = await StreamHarness.CreateAsync("CREATE TABLE item (id int PRIMARY KEY)");
        await using var early = new NpgsqlConnection(stream.Source);
        await early.OpenAsync(TestContext.Current.CancellationToken);
        await using var transaction = await early.BeginTransactionAsync(TestContext.Current.CancellationToken);
        await using var command = new NpgsqlCommand("CREATE TABLE extra (id int PRIMARY KEY); CREATE TYPE mood AS ENUM ('ok')", early);
        await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);

        stream.Start();
        await StreamHarness.UntilAsync(async () => (long)(await StreamHarness.ScalarAsync(stream.Source, "SELECT count(*) FROM pg_event_trigger"))! > 0);
        await transaction.CommitAsync(TestContext.Current.CancellationToken);
        await stream.CatchUpAsync();
        await stream.SourceAsync("DROP TABLE extra; CREATE TABLE extra (id int PRIMARY KEY, n int); INSERT INTO extra VALUES (1, 2)");
        await stream.SourceAsync("ALTER TYPE mood ADD VALUE 'sad'");
        await stream.SourceAsync("ALTER TABLE item ADD mood mood; INSERT INTO item VALUES (1, 'sad')");
        await stream.CatchUpAsync();

        await stream.AssertEqualAsync();
    }

    // A migration that stays open shall hold up the stream that begins, and nobody else.
    [Fact]
    public async Task A_stream_that_waits_for_a_transaction_lets_others_change_the_schema()
    {
        await using var stream = await StreamHarness.CreateAsync("CREATE TABLE item (id int PRIMARY KEY)");
        await using var writer = await BeginAsync(stream, "INSERT INTO item VALUES (1)");
        stream.Start();
        await StreamHarness.UntilAsync(async () => (long)(await StreamHarness.ScalarAsync(stream.Source, "SELECT count(*) FROM pg_event_trigger"))! > 0);
        await using var migration = await BeginAsync(stream, "CREATE TABLE slow (id int PRIMARY KEY)");
        await EndAsync(writer);
        await StreamHarness.UntilAsync(async () => await StreamHarness.ScalarAsync(
            stream.Source, "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'tributary.ddl_setting'::regclass)") is true);

        await stream.SourceAsync("SET statement_timeout = '5s'; CREATE TABLE quick (id int PRIMARY KEY)");
        await EndAsync(migration);

        await stream.CatchUpAsync();
        await stream.AssertEqualAsync();
    }

    static async Task<NpgsqlConnection> BeginAsync(StreamHarness stream, string sql)
    {
        var connection = new NpgsqlConnection(stream.Source);
        await connection.OpenAsync(TestContext.Current.CancellationToken);
        await using var command = new NpgsqlCommand($"BEGIN; {sql}", connection);
        await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
        return connection;
    }

    static async Task EndAsync(NpgsqlConnection connection)
    {
        await using var command = new NpgsqlCommand("COMMIT", connection);
        await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task A_message_without_the_secret_changes_nothing()
    {
        await using var stream = await StreamHarness.CreateAsync("CREATE TABLE item (id int PRIMARY KEY)");
        await stream.StartAndCatchUpAsync();
        const string Forged = """{"token":"guessed","tag":"DROP TABLE","dropped":[{"id":1,"identity":"public.item","state":{"class":"relation","kind":"r"}}]}""";

        await stream.SourceAsync($"SELECT pg_logical_emit_message(true, 'tributary.ddl', '{Forged}'), pg_logical_emit_message(true, 'tributary.ddl', 'no json')");
        await stream.SourceAsync("INSERT INTO item VALUES (1)");
        await stream.CatchUpAsync();

        await stream.AssertEqualAsync();
        Assert.Equal(0, stream.Pipeline!.Status.SchemaChanges);
    }

    [Fact]
    public async Task A_table_made_of_more_rows_than_memory_holds_is_made_before_its_rows()
    {
        await using var stream = await StreamHarness.CreateAsync("CREATE TABLE item (id int PRIMARY KEY)");
        stream.Options = stream.Options with { TransactionBytesMax = 64 * 1024 };
        await stream.StartAndCatchUpAsync();

        await stream.SourceAsync(
            "BEGIN; INSERT INTO item VALUES (1); CREATE TABLE made AS SELECT i AS id, repeat('x', 100) AS v FROM generate_series(1, 5000) i;" +
            "ALTER TABLE made ADD PRIMARY KEY (id); UPDATE made SET v = 'y' WHERE id % 2 = 0; ALTER TABLE made ADD w float8 DEFAULT random(); DELETE FROM made WHERE id < 100; COMMIT");
        await stream.CatchUpAsync();

        await stream.AssertEqualAsync();
        Assert.Equal(4, stream.Pipeline!.Status.SchemaChanges);
    }

    [Fact]
    public async Task Types_that_the_target_numbers_otherwise_come_right_though_they_are_new()
    {
        await using var stream = await StreamHarness.CreateAsync("CREATE TABLE item (id int PRIMARY KEY)");
        await stream.StartAndCatchUpAsync();

        await stream.SourceAsync("CREATE TYPE mood AS ENUM ('a', 'b'); CREATE TYPE pair AS (m mood, n int); CREATE TABLE made (id int PRIMARY KEY, m mood[], p pair, q pair[])");
        await stream.SourceAsync("INSERT INTO made VALUES (1, '{a,b}', ROW('b', 1), ARRAY[ROW('a', 2)::pair]); ALTER TABLE item ADD r mood[] DEFAULT '{b}'; INSERT INTO item VALUES (1)");
        await stream.CatchUpAsync();

        await stream.AssertEqualAsync();
    }

    [Fact]
    public async Task The_last_stream_takes_the_triggers_away()
    {
        await using var stream = await StreamHarness.CreateAsync("CREATE TABLE item (id int PRIMARY KEY)");
        await stream.StartAndCatchUpAsync();
        await stream.SourceAsync("CREATE TABLE later (id int PRIMARY KEY)");
        await stream.CatchUpAsync();
        await stream.StopAsync();

        await StreamTeardown.DestroyAsync(stream.Options, dropCopied: true, TestContext.Current.CancellationToken);

        Assert.Equal(0L, await StreamHarness.ScalarAsync(stream.Source, "SELECT count(*) FROM pg_event_trigger"));
        Assert.Equal(true, await StreamHarness.ScalarAsync(stream.Source, "SELECT to_regnamespace('tributary') IS NULL"));
        Assert.Equal(true, await StreamHarness.ScalarAsync(stream.Target, "SELECT to_regclass('item') IS NULL AND to_regclass('later') IS NULL"));
    }

    [Fact]
    public async Task A_rewrite_beyond_the_bound_stops_the_stream_and_leaves_the_command_alone()
    {
        await using var stream = await StreamHarness.CreateAsync("CREATE TABLE item (id int PRIMARY KEY); INSERT INTO item SELECT generate_series(1, 1000)");
        await stream.StartAndCatchUpAsync();

        await stream.SourceAsync("UPDATE tributary.ddl_setting SET rewrite_bytes_max = 1000; ALTER TABLE item ADD r float8 DEFAULT random()");
        var failure = await stream.FailureAsync();

        Assert.Equal(StreamErrorKind.Schema, failure.Kind);
        Assert.Contains("ALTER TABLE", failure.Message, StringComparison.Ordinal);
        Assert.Contains("public.item", failure.Message, StringComparison.Ordinal);
        Assert.Equal(1000L, await StreamHarness.ScalarAsync(stream.Source, "SELECT count(r) FROM item"));
    }
}
