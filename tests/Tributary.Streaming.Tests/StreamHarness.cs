using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using Tributary.Postgres;
using Tributary.Postgres.Programs;
using Tributary.Streaming.Hosting;
using Tributary.Testing;

namespace Tributary.Streaming.Tests;

/// <summary>A source database, a target database, and a stream between them that a test starts, stops and aborts.</summary>
public sealed class StreamHarness : IAsyncDisposable
{
    static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    CancellationTokenSource? _stop;
    Task? _run;

    StreamHarness(StreamOptions options, string source, string target)
    {
        Options = options;
        Source = source;
        Target = target;
    }

    public StreamOptions Options { get; set; }

    public ILoggerFactory LoggerFactory { get; set; } = NullLoggerFactory.Instance;

    public string Source { get; }

    public string Target { get; }

    public StreamPipeline? Pipeline { get; private set; }

    static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public static async Task<StreamHarness> CreateAsync(string schema = "")
    {
        var server = await TestServers.SharedAsync();
        return await CreateAsync(server, server, schema);
    }

    public static async Task<StreamHarness> CreateAsync(PostgresServer sourceServer, PostgresServer targetServer, string schema = "")
    {
        var source = await sourceServer.NewDatabaseAsync("src") + ";Pooling=false";
        var target = await targetServer.NewDatabaseAsync("dst") + ";Pooling=false";
        var options = new StreamOptions
        {
            Name = $"t{Guid.NewGuid():N}"[..20],
            Source = Url(sourceServer, source),
            Target = Url(targetServer, target),
            HeartbeatInterval = TimeSpan.FromMilliseconds(100),
            FeedbackInterval = TimeSpan.FromMilliseconds(100),
            SpoolFolder = TestFolder.New("spool"),
        };
        var harness = new StreamHarness(options, source, target);
        if (schema.Length > 0)
            await harness.SourceAsync(schema);
        return harness;
    }

    public Task SourceAsync(string sql) => ExecuteAsync(Source, sql);

    public Task TargetAsync(string sql) => ExecuteAsync(Target, sql);

    public void Start() => Start(StreamFactory.Create(Options, TimeProvider.System, LoggerFactory));

    public void Start(StreamPipeline pipeline)
    {
        _stop = new CancellationTokenSource();
        Pipeline = pipeline;
        _run = Task.Run(() => Pipeline.RunAsync(_stop.Token), Cancelled);
    }

    public async Task StartAndCatchUpAsync()
    {
        Start();
        await CatchUpAsync();
    }

    /// <summary>Waits until the target holds all that was committed at the source before the call.</summary>
    public async Task CatchUpAsync()
    {
        await WaitAsync(status => status.Phase == StreamPhase.Streaming);
        var reached = Lsn.Parse((string)(await ScalarAsync(Source, "SELECT pg_current_wal_insert_lsn()::text"))!);
        await WaitAsync(status => status.ConfirmedLsn >= reached);
    }

    public async Task WaitAsync(Func<StreamStatus, bool> condition)
    {
        var deadline = TimeProvider.System.GetTimestamp();
        while (!condition(Pipeline!.Status))
        {
            if (_run!.IsFaulted)
                await FailAsync();
            if (TimeProvider.System.GetElapsedTime(deadline) > Deadline)
                throw new TimeoutException($"The stream did not get there: {Pipeline.Status}");
            await Task.Delay(TimeSpan.FromMilliseconds(2), TimeProvider.System, Cancelled);
        }
    }

    // Whether the source has described a command, or the stream has lost the description, shows only in what the slot still holds.
    async Task FailAsync()
    {
        try
        {
            await _run!;
        }
        catch (StreamException failure) when (failure.Kind == StreamErrorKind.Schema)
        {
            throw new InvalidOperationException($"{failure.Message} The slot holds:\n{await HeldAsync()}", failure);
        }
    }

    async Task<string> HeldAsync()
    {
        try
        {
            return string.Join('\n', await ColumnAsync(
                Source,
                $"""
                SELECT lsn || ' ' || xid || ' ' || encode(substr(data, 1, 400), 'escape')
                FROM pg_logical_slot_peek_binary_changes('{Options.SlotName}', NULL, 500, 'proto_version', '1', 'publication_names', '{Options.PublicationName}', 'messages', 'true')
                """));
        }
        catch (NpgsqlException exception)
        {
            return exception.Message;
        }
    }

    /// <summary>Asks until the answer is yes.</summary>
    public static async Task UntilAsync(Func<Task<bool>> condition)
    {
        var started = TimeProvider.System.GetTimestamp();
        while (!await condition())
        {
            if (TimeProvider.System.GetElapsedTime(started) > Deadline)
                throw new TimeoutException("The condition did not come to hold.");
            await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System, Cancelled);
        }
    }

    public async Task StopAsync()
    {
        if (_stop is null)
            return;
        await _stop.CancelAsync();
        await _run!;
        _stop.Dispose();
        _stop = null;
    }

    /// <summary>The error that ends the stream.</summary>
    public async Task<StreamException> FailureAsync()
    {
        var failure = await Assert.ThrowsAsync<StreamException>(() => _run!.WaitAsync(Deadline, Cancelled));
        _stop!.Dispose();
        _stop = null;
        return failure;
    }

    /// <summary>Every row of every table, as text, is the same at both sides.</summary>
    public async Task AssertEqualAsync()
    {
        var tables = await ColumnAsync(
            Source,
            """
            SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'tributary') ORDER BY 1
            """);
        Assert.NotEmpty(tables);
        foreach (var table in tables)
        {
            var rows = $"SELECT t::text FROM {table} AS t ORDER BY t::text COLLATE \"C\"";
            Assert.Equal(await ColumnAsync(Source, rows), await ColumnAsync(Target, rows));
        }
    }

    public static async Task<List<string>> ColumnAsync(string connectionString, string sql)
    {
        await using var connection = new NpgsqlConnection(connectionString);
        await connection.OpenAsync(Cancelled);
        await using var command = new NpgsqlCommand(sql, connection);
        await using var reader = await command.ExecuteReaderAsync(Cancelled);
        var values = new List<string>();
        while (await reader.ReadAsync(Cancelled))
            values.Add(reader.IsDBNull(0) ? "(null)" : reader.GetString(0));
        return values;
    }

    public static async Task<object?> ScalarAsync(string connectionString, string sql)
    {
        await using var connection = new NpgsqlConnection(connectionString);
        await connection.OpenAsync(Cancelled);
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteScalarAsync(Cancelled);
    }

    public async ValueTask DisposeAsync()
    {
        if (_stop is not null)
        {
            await _stop.CancelAsync();
            await Task.WhenAny(_run!);
            _stop.Dispose();
        }

        // Slots and origins are few, and the server is shared by all tests.
        await ExecuteAsync(
            Source,
            $"SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '{Options.SlotName}' AND active");
        await ExecuteAsync(
            Source, $"SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '{Options.SlotName}' AND NOT active");
        try
        {
            await ExecuteAsync(Target, DropOrigins(Options.Name));
        }
        catch (NpgsqlException)
        {
            // A test has taken its target away; that one was not shared.
        }
    }

    // One that a session holds, which ends a moment after its connection, stays.
    static string DropOrigins(string stream) =>
        $"""
        DO $$ DECLARE origin text; BEGIN
            FOR origin IN SELECT roname FROM pg_replication_origin WHERE roname = 'tributary_{stream}' OR starts_with(roname, 'tributary_{stream}/') LOOP
                BEGIN
                    PERFORM pg_replication_origin_drop(origin);
                EXCEPTION WHEN object_in_use THEN
                    NULL;
                END;
            END LOOP;
        END $$
        """;

    static PostgresUrl Url(PostgresServer server, string connectionString)
    {
        Assert.True(PostgresUrl.TryParse(server.Url(new NpgsqlConnectionStringBuilder(connectionString).Database!), out var url, out _));
        return url;
    }

    static async Task ExecuteAsync(string connectionString, string sql)
    {
        await using var connection = new NpgsqlConnection(connectionString);
        await connection.OpenAsync(Cancelled);
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(Cancelled);
    }
}
