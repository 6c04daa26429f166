using Npgsql;
using Tributary.Postgres;
using Tributary.Testing;

namespace Tributary.Streaming.Tests.Faults;

/// <summary>What is confirmed to the source is in the target, whatever the rows weigh and whatever stops the stream.</summary>
public sealed class AcknowledgementTests
{
    static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Values_far_larger_than_their_log_are_never_confirmed_too_far()
    {
        // 100 kB each on the wire, 2 kB in the log: a position made of a message's length would lie far beyond the message.
        const int Writers = 50;
        await using var stream = await StreamHarness.CreateAsync("CREATE TABLE wide (id bigserial PRIMARY KEY, body jsonb); CREATE TABLE small (writer int, n int)");
        stream.Options = stream.Options with { FeedbackInterval = TimeSpan.FromMilliseconds(5), ReconnectDelayMax = TimeSpan.FromMilliseconds(20) };
        await stream.StartAndCatchUpAsync();
        using var watching = new CancellationTokenSource();
        var watch = WatchAsync(stream, watching.Token);

        var writers = Task.WhenAll(Enumerable.Range(0, Writers).Select(writer => WriteAsync(stream.Source, writer)));
        for (var breaks = 0; !writers.IsCompleted; breaks++)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(150), TimeProvider.System, Cancelled);
            await StreamHarness.ScalarAsync(
                breaks % 2 == 0 ? stream.Source : stream.Target,
                $"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'tributary {stream.Options.Name}'");
        }

        await writers;
        await stream.CatchUpAsync();
        await watching.CancelAsync();

        Assert.True(await watch > 10, "the positions were compared too seldom");
        Assert.True(stream.Pipeline!.Status.Reconnections > 0);
        await stream.AssertEqualAsync();
    }

    [Fact]
    public async Task Nothing_is_confirmed_beyond_a_row_that_the_target_refuses()
    {
        await using var stream = await StreamHarness.CreateAsync("CREATE TABLE item (id int PRIMARY KEY, v text)");
        await stream.StartAndCatchUpAsync();
        await stream.TargetAsync("ALTER TABLE item ADD CONSTRAINT short CHECK (length(v) < 10)");

        await stream.SourceAsync("INSERT INTO item VALUES (1, 'before')");
        await stream.CatchUpAsync();
        await stream.SourceAsync("INSERT INTO item VALUES (2, 'much too long')");
        var poisoned = await LsnAsync(stream.Source, "SELECT pg_current_wal_insert_lsn()::text");
        await stream.SourceAsync("INSERT INTO item VALUES (3, 'after')");
        for (var attempt = 0; attempt < 3; attempt++)
        {
            var failure = await stream.FailureAsync();
            Assert.Equal(StreamErrorKind.Data, failure.Kind);
            Assert.Contains("\"public\".\"item\"", failure.Message, StringComparison.Ordinal);
            Assert.Contains("short", failure.Message, StringComparison.Ordinal);
            Assert.DoesNotContain("much too long", failure.Message, StringComparison.Ordinal);
            Assert.True(await ConfirmedAsync(stream) < poisoned);
            Assert.Equal(["1"], await StreamHarness.ColumnAsync(stream.Target, "SELECT id::text FROM item"));
            if (attempt < 2)
                stream.Start();
        }

        await stream.TargetAsync("ALTER TABLE item DROP CONSTRAINT short");
        await stream.StartAndCatchUpAsync();
        Assert.Equal(["1", "2", "3"], await StreamHarness.ColumnAsync(stream.Target, "SELECT id::text FROM item ORDER BY id"));
        await stream.AssertEqualAsync();
    }

    [Fact]
    public async Task An_idle_source_lets_its_log_go_while_another_database_writes()
    {
        await using var stream = await StreamHarness.CreateAsync("CREATE TABLE item (id int PRIMARY KEY)");
        var other = await (await TestServers.SharedAsync()).NewDatabaseAsync("other");
        await stream.StartAndCatchUpAsync();
        var before = await ConfirmedAsync(stream);

        await StreamHarness.ScalarAsync(other, "CREATE TABLE noise AS SELECT repeat('x', 100) FROM generate_series(1, 10000)");

        await StreamHarness.UntilAsync(async () => (await ConfirmedAsync(stream)).Value > before.Value + 500_000);
    }

    static Task<Lsn> ConfirmedAsync(StreamHarness stream) =>
        LsnAsync(stream.Source, $"SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = '{stream.Options.SlotName}'");

    static async Task<Lsn> LsnAsync(string connectionString, string sql) => Lsn.Parse((string)(await StreamHarness.ScalarAsync(connectionString, sql))!);

    // The slot is read first: what it says must then be saved at the target already.
    static async Task<int> WatchAsync(StreamHarness stream, CancellationToken cancellationToken)
    {
        var compared = 0;
        while (!cancellationToken.IsCancellationRequested)
        {
            var confirmed = await ConfirmedAsync(stream);
            var saved = await LsnAsync(stream.Target, "SELECT commit_end_lsn::text FROM tributary.progress");
            Assert.True(confirmed <= saved, $"{confirmed} was confirmed and {saved} is saved");
            compared++;
            await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System, Cancelled);
        }

        return compared;
    }

    static async Task WriteAsync(string source, int writer)
    {
        await using var connection = new NpgsqlConnection(source);
        await connection.OpenAsync(Cancelled);
        for (var n = 0; n < 20; n++)
        {
            await using var command = new NpgsqlCommand(
                n % 4 == 0
                    ? $"INSERT INTO wide (body) VALUES (jsonb_build_object('n', {n}, 'body', repeat('abcdefgh', 12500)))"
                    : $"INSERT INTO small VALUES ({writer}, {n})", connection);
            await command.ExecuteNonQueryAsync(Cancelled);
        }
    }
}
