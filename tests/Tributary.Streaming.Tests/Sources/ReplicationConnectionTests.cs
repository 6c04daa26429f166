using Npgsql;
using Tributary.Postgres;
using Tributary.Postgres.Programs;
using Tributary.Streaming.Sources;
using Tributary.Testing;

namespace Tributary.Streaming.Tests.Sources;

/// <summary>The link to a WAL sender: what it carries, and how it ends.</summary>
public sealed class ReplicationConnectionTests
{
    const string Sender = "SELECT pid::text FROM pg_stat_replication WHERE application_name = 'tributary link'";

    static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_value_of_200_MB_arrives_whole_and_the_next_small_one_too()
    {
        await using var link = await Link.OpenAsync(await TestServers.SharedAsync(), options: InMemory);
        await link.ExecuteAsync("INSERT INTO item VALUES (1, repeat('0123456789', 20000000)); INSERT INTO item VALUES (2, 'small')");

        using var large = await link.NextAsync();

        // Kept apart from the database's own idea of length: the bytes themselves repeat.
        var row = large.Changes[0].New.Read();
        Assert.True(row.Next() && row.Next());
        Assert.Equal(200_000_000, row.Value.Length);
        Assert.Equal("0123456789"u8, row.Value.Span[^10..]);
        row = large.Changes[1].New.Read();
        Assert.True(row.Next() && row.Next());
        Assert.Equal("small"u8, row.Value.Span);
    }

    [Fact]
    public async Task A_reader_that_pauses_longer_than_the_servers_timeout_keeps_its_link()
    {
        await using var server = await TestServers.StartAsync(["wal_level = logical", "wal_sender_timeout = 1s"]);
        await using var link = await Link.OpenAsync(server);
        await link.WarmUpAsync();
        var sender = await StreamHarness.ColumnAsync(link.Database, Sender);

        // Far more than all buffers on the way hold, so that the sender stands still meanwhile.
        await link.ExecuteAsync("INSERT INTO item SELECT n, repeat('x', 1000) FROM generate_series(1, 50000) n");
        await Task.Delay(TimeSpan.FromSeconds(4), TimeProvider.System, Cancelled);
        using var transaction = await link.NextAsync();

        Assert.Equal(50_000, transaction.Count);
        Assert.Equal(sender, await StreamHarness.ColumnAsync(link.Database, Sender));
    }

    [Fact]
    public async Task A_confirmed_position_reaches_the_slot_and_never_goes_back()
    {
        await using var link = await Link.OpenAsync(await TestServers.SharedAsync());
        await link.ExecuteAsync("INSERT INTO item VALUES (1, 'a')");
        using var transaction = await link.NextAsync();

        link.Source.ConfirmFlushed(transaction.CommitEndLsn);
        link.Source.ConfirmFlushed(new Lsn(1));
        await link.DisposeSourceAsync();

        // The goodbye tells the last position, and the slot is free when it is over.
        Assert.Equal(
            [$"{transaction.CommitEndLsn} false"],
            await StreamHarness.ColumnAsync(link.Database, $"SELECT confirmed_flush_lsn || ' ' || active FROM pg_replication_slots WHERE slot_name = '{link.Slot}'"));
    }

    [Fact]
    public async Task A_server_that_is_killed_or_a_link_that_is_cut_is_a_lost_link()
    {
        await using var server = await TestServers.StartAsync(["wal_level = logical"]);
        await using var proxy = new CuttingProxy(server.Port);
        await using (var link = await Link.OpenAsync(server, proxy.Port))
        {
            await link.WarmUpAsync();
            var next = link.NextAsync();
            proxy.Cut();
            Assert.True(LostLink.Is(await Assert.ThrowsAnyAsync<Exception>(() => next.WaitAsync(Deadline, Cancelled))));
        }

        await using (var link = await Link.OpenAsync(server, name: "link2"))
        {
            await link.WarmUpAsync();
            var next = link.NextAsync();
            await server.StopAsync("QUIT", Cancelled); // A fast shutdown would wait until this reader has confirmed all.
            Assert.True(LostLink.Is(await Assert.ThrowsAnyAsync<Exception>(() => next.WaitAsync(Deadline, Cancelled))));
        }
    }

    [Fact]
    public async Task A_server_that_falls_silent_is_a_lost_link()
    {
        await using var server = await TestServers.StartAsync(["wal_level = logical", "wal_sender_timeout = 1s"]);
        await using var proxy = new CuttingProxy(server.Port);
        await using var link = await Link.OpenAsync(server, proxy.Port);
        await link.WarmUpAsync();
        var next = link.NextAsync();

        proxy.WithholdAnswersAfter("r"); // A feedback: from now on the server is not heard.

        var error = await Assert.ThrowsAsync<IOException>(() => next.WaitAsync(Deadline, Cancelled));
        Assert.True(LostLink.Is(error));
        Assert.IsType<TimeoutException>(error.InnerException);
    }

    [Fact]
    public async Task A_slot_that_is_missing_or_busy_is_told_apart()
    {
        await using var link = await Link.OpenAsync(await TestServers.SharedAsync());
        await link.WarmUpAsync();

        var busy = await Assert.ThrowsAsync<ServerErrorException>(() => ReadOnceAsync(link.Options));
        var missing = await Assert.ThrowsAsync<ServerErrorException>(() => ReadOnceAsync(link.Options with { SlotName = "nobody_made_it" }));

        Assert.Equal("55006", busy.SqlState);
        Assert.True(LostLink.Is(busy)); // The session of a lost link may hold it for a moment.
        Assert.Equal("42704", missing.SqlState);
        Assert.False(LostLink.Is(missing));
    }

    [Fact]
    public async Task Values_come_in_binary_where_every_type_allows_it()
    {
        await using var link = await Link.OpenAsync(await TestServers.SharedAsync(), options: options => options with { ValueFormat = ValueFormat.Auto });
        await link.ExecuteAsync("INSERT INTO item VALUES (258, 'a')");
        using (var transaction = await link.NextAsync())
        {
            var row = transaction.Changes[0].New.Read();
            Assert.True(row.Next());
            Assert.Equal((ValueKind.Binary, 258), (row.Kind, System.Buffers.Binary.BinaryPrimitives.ReadInt32BigEndian(row.Value.Span)));
        }

        await link.DisposeSourceAsync();
        await link.ExecuteAsync("CREATE TYPE mood AS ENUM ('glad'); CREATE TABLE other (m mood[]); INSERT INTO item VALUES (259, 'b')");
        await link.ReopenAsync();
        using (var transaction = await link.NextAsync())
        {
            var row = transaction.Changes[^1].New.Read();
            Assert.True(row.Next());
            Assert.Equal((ValueKind.Text, "259"), (row.Kind, System.Text.Encoding.UTF8.GetString(row.Value.Span)));
        }
    }

    static StreamOptions InMemory(StreamOptions options) => options with { TransactionBytesMax = 1L << 30, OpenTransactionsBytesMax = 1L << 30, StreamsOpenTransactions = false };

    static async Task ReadOnceAsync(StreamOptions options)
    {
        await using var source = new ReplicationSource(options, TimeProvider.System);
        await source.OpenAsync(Cancelled);
        await foreach (var _ in source.ReadAsync(new Lsn(1), Cancelled))
            return;
    }

    /// <summary>A database with one published table, a slot, and a source that reads it.</summary>
    sealed class Link : IAsyncDisposable
    {
        readonly CancellationTokenSource _stop = CancellationTokenSource.CreateLinkedTokenSource(Cancelled);
        IAsyncEnumerator<SourceEvent> _events = null!;
        Lsn _position;

        public required string Database { get; init; }

        public required StreamOptions Options { get; init; }

        public ReplicationSource Source { get; private set; } = null!;

        public string Slot => Options.SlotName;

        public static async Task<Link> OpenAsync(PostgresServer server, int? port = null, string name = "link", Func<StreamOptions, StreamOptions>? options = null)
        {
            var database = await server.NewDatabaseAsync("link") + ";Pooling=false";
            var url = new PostgresUrl { Host = "127.0.0.1", Port = port ?? server.Port, User = "postgres", Database = new NpgsqlConnectionStringBuilder(database).Database! };
            var given = new StreamOptions
            {
                Name = name,
                Source = url,
                Target = url,
                SlotName = $"link_{Guid.NewGuid():N}",
                PublicationName = "linked",
                FeedbackInterval = TimeSpan.FromMilliseconds(100),
            };
            var link = new Link { Database = database, Options = options?.Invoke(given) ?? given };
            await link.ExecuteAsync("CREATE TABLE item (id int, v text); CREATE PUBLICATION linked FOR ALL TABLES");
            link._position = Lsn.Parse((string)(await StreamHarness.ScalarAsync(database, $"SELECT lsn::text FROM pg_create_logical_replication_slot('{link.Slot}', 'pgoutput')"))!);
            await link.ReopenAsync();
            return link;
        }

        public async Task ReopenAsync()
        {
            Source = new ReplicationSource(Options, TimeProvider.System);
            await Source.OpenAsync(_stop.Token);
            _events = Source.ReadAsync(_position, _stop.Token).GetAsyncEnumerator(_stop.Token);
        }

        /// <summary>Reads one row, after which the stream is under way.</summary>
        public async Task WarmUpAsync()
        {
            await ExecuteAsync("INSERT INTO item VALUES (0, 'first')");
            (await NextAsync()).Dispose();
        }

        /// <summary>The next transaction that holds a change.</summary>
        public async Task<Transaction> NextAsync()
        {
            while (await _events.MoveNextAsync())
            {
                if (_events.Current.Transaction is not { } transaction)
                    continue;
                _position = transaction.CommitEndLsn;
                if (transaction.Count > 0)
                    return transaction;
                transaction.Dispose();
            }

            throw new InvalidOperationException("The stream ended.");
        }

        public async Task ExecuteAsync(string sql)
        {
            await using var connection = new NpgsqlConnection(Database);
            await connection.OpenAsync(Cancelled);
            await using var command = new NpgsqlCommand(sql, connection);
            await command.ExecuteNonQueryAsync(Cancelled);
        }

        public async Task DisposeSourceAsync()
        {
            await _events.DisposeAsync();
            await Source.DisposeAsync();
        }

        public async ValueTask DisposeAsync()
        {
            await _stop.CancelAsync();
            try
            {
                await DisposeSourceAsync();
                await ExecuteAsync($"SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '{Slot}' AND NOT active");
            }
            catch (Exception exception) when (exception is NpgsqlException or NotSupportedException or OperationCanceledException)
            {
                // The test has stopped the server, or still waits for an event.
            }

            _stop.Dispose();
        }
    }
}
