using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using Tributary.Streaming.Checkpoints;
using Tributary.Streaming.Copying;
using Tributary.Streaming.Hosting;
using Tributary.Streaming.Sources;
using Tributary.Streaming.Targets.Stdout;
using Tributary.Testing;

namespace Tributary.Streaming.Tests.Targets;

public sealed class StdoutTargetTests
{
    static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Every_change_is_a_line_of_the_published_shape()
    {
        var sink = new LineSink();
        await using var stream = await CreateAsync(
            sink,
            """
            CREATE TYPE mood AS ENUM ('fine');
            CREATE TABLE sample (id int PRIMARY KEY, small int2, big int8, o oid, yes bool, r real, d float8, n numeric, t text, j json, jb jsonb,
                at timestamptz, b bytea, a int[], m mood, body text);
            ALTER TABLE sample ALTER body SET STORAGE EXTERNAL;
            CREATE TABLE "Ünï"" que" (a int, b text);
            ALTER TABLE "Ünï"" que" REPLICA IDENTITY FULL;
            INSERT INTO sample (id) VALUES (99);
            """);
        await stream.StartAndCatchUpAsync();
        await stream.SourceAsync(
            """
            INSERT INTO sample VALUES (1, -2, 9223372036854775807, 4000000000, true, 0.1, 1e300, 12345678901234567890.10, E'a "b"\\ \n é', E'{"x":\n [1, 1e400]}', '{"y": null}',
                '2026-01-02 03:04:05.6+00', '\x00ff', '{1,NULL}', 'fine', repeat('x', 10000));
            UPDATE sample SET d = 'NaN', r = '-Infinity', yes = false WHERE id = 1;
            UPDATE sample SET id = 2 WHERE id = 1;
            DELETE FROM sample WHERE id = 2;
            INSERT INTO "Ünï"" que" VALUES (1, 'b');
            UPDATE "Ünï"" que" SET b = NULL;
            DELETE FROM "Ünï"" que";
            TRUNCATE sample, "Ünï"" que" RESTART IDENTITY;
            """);
        await stream.CatchUpAsync();

        var lines = sink.Lines().ConvertAll(static line => JsonDocument.Parse(line).RootElement);
        Assert.Equal("insert update update delete insert update delete truncate", string.Join(' ', lines.Select(line => line.GetProperty("kind").GetString())));
        Assert.Equal([1, 2, 3, 4, 5, 6, 7, 8], lines.Select(line => line.GetProperty("seq").GetInt32()));
        Assert.Single(lines.Select(line => line.GetProperty("lsn").GetString()).Distinct());
        using var schema = JsonDocument.Parse(File.ReadAllText(Path.Combine(RepositoryRoot(), "docs/change.schema.json")));
        Assert.All(lines, line => Assert.Null(JsonShape.Mismatch(line, schema.RootElement, schema.RootElement)));
        var inserted = lines[0].GetProperty("new").GetRawText();
        Assert.StartsWith(
            """{"id":1,"small":-2,"big":9223372036854775807,"o":4000000000,"yes":true,"r":0.1,"d":1e+300,"n":"12345678901234567890.10","t":"a \"b\"\\ \n é","j":{"x":  [1, 1e400]},"jb":{"y": null},""",
            inserted, StringComparison.Ordinal);
        Assert.Contains(""","at":"2026-01-02 03:04:05.6+00","b":"\\x00ff","a":"{1,NULL}","m":"fine","body":"xxx""", inserted, StringComparison.Ordinal);
        Assert.Equal("""["body"]""", lines[1].GetProperty("unchanged").GetRawText());
        Assert.False(lines[1].GetProperty("new").TryGetProperty("body", out _));
        Assert.Equal(("NaN", "-Infinity"), (lines[1].GetProperty("new").GetProperty("d").GetString(), lines[1].GetProperty("new").GetProperty("r").GetString()));
        Assert.False(lines[1].TryGetProperty("old", out _));
        Assert.Equal(("""{"id":2}""", """{"id":1}"""), (lines[2].GetProperty("key").GetRawText(), lines[2].GetProperty("old").GetRawText()));
        Assert.Equal(("""{"id":2}""", """{"id":2}"""), (lines[3].GetProperty("key").GetRawText(), lines[3].GetProperty("old").GetRawText()));
        Assert.Equal(("""{"a":1,"b":null}""", """{"a":1,"b":"b"}"""), (lines[5].GetProperty("new").GetRawText(), lines[5].GetProperty("old").GetRawText()));
        Assert.Equal("Ünï\" que", lines[5].GetProperty("table").GetString());
        Assert.Equal(2, lines[7].GetProperty("tables").GetArrayLength());
        Assert.True(lines[7].GetProperty("restartIdentity").GetBoolean());
    }

    [Fact]
    public void A_change_of_the_schema_is_a_line_too()
    {
        using var transaction = new Transaction(7);
        transaction.Complete(new Postgres.Lsn(0x16B3748), DateTimeOffset.UnixEpoch);
        using var lines = new ChangeLines(1024);

        lines.Add(transaction, new Change(ChangeKind.Schema, null!, default, default, OldRowKind.None, Schema: new SchemaChange("ALTER TABLE", "{\n\"objects\": []}")), 1);

        Assert.Equal(
            """{"kind":"schema","lsn":"0/16B3748","seq":1,"xid":7,"committedAt":"1970-01-01T00:00:00.000000Z","tag":"ALTER TABLE","change":{ "objects": []}}""" + "\n",
            System.Text.Encoding.UTF8.GetString(lines.Written.Span));
    }

    [Fact]
    public async Task A_table_that_is_described_otherwise_has_a_line_before_its_rows_and_the_same_after_a_start()
    {
        var sink = new LineSink();
        await using var stream = await CreateAsync(sink, "CREATE TABLE item (id int PRIMARY KEY, v text)");
        await stream.StartAndCatchUpAsync();
        await stream.SourceAsync("INSERT INTO item VALUES (1, 'a')");
        await stream.CatchUpAsync();
        await stream.StopAsync();
        await stream.SourceAsync("BEGIN; INSERT INTO item VALUES (2, 'b'); ALTER TABLE item ADD w int; INSERT INTO item VALUES (3, 'c', 1); ALTER TABLE item REPLICA IDENTITY FULL; DELETE FROM item WHERE id = 1; COMMIT");
        await stream.SourceAsync("ALTER TABLE item RENAME v TO name; INSERT INTO item VALUES (4, 'd', 2)");
        await stream.StartAndCatchUpAsync();
        var file = stream.Options.Stdout!.CheckpointFile;
        var once = sink.Lines();
        Assert.Equal(2, stream.Pipeline!.Status.SchemaChanges);
        await stream.StopAsync();
        await stream.StartAndCatchUpAsync();

        var lines = once.ConvertAll(static line => JsonDocument.Parse(line).RootElement);
        Assert.Equal("insert insert schema insert delete schema insert", string.Join(' ', lines.Select(line => line.GetProperty("kind").GetString())));
        Assert.Equal([1, 1, 2, 3, 4, 1, 2], lines.Select(line => line.GetProperty("seq").GetInt32()));
        var change = lines[2].GetProperty("change");
        Assert.Equal("RELATION", lines[2].GetProperty("tag").GetString());
        Assert.Equal((2, 3), (change.GetProperty("before").GetProperty("columns").GetArrayLength(), change.GetProperty("after").GetProperty("columns").GetArrayLength()));
        using var schema = JsonDocument.Parse(File.ReadAllText(Path.Combine(RepositoryRoot(), "docs/change.schema.json")));
        Assert.All(lines, line => Assert.Null(JsonShape.Mismatch(line, schema.RootElement, schema.RootElement)));
        Assert.Equal(once, sink.Lines());
        Assert.Single(await File.ReadAllLinesAsync(file + ".tables", Cancelled));
    }

    [Fact]
    public async Task After_a_crash_between_line_and_position_lines_repeat_with_their_position_and_none_is_missing()
    {
        var sink = new LineSink();
        await using var stream = await CreateAsync(sink, "CREATE TABLE item (id int PRIMARY KEY)");
        const int Rows = 40;
        var next = 0;
        for (var crash = 0; crash < 4; crash++)
        {
            var options = stream.Options;
            var output = new LineOutput(options.Name, sink);
            var crashAt = sink.Lines().Count + 5;
            stream.Start(new StreamPipeline(
                options, () => new ReplicationSource(options, TimeProvider.System),
                () => new StdoutTarget(options, options.Stdout!, output, new CrashingStore(new CheckpointFile(options.Stdout!.CheckpointFile, options.Name), () => sink.Lines().Count >= crashAt)),
                new ChangesOnly(options, NullLogger.Instance), TimeProvider.System, NullLogger.Instance));
            await stream.WaitAsync(status => status.Phase == StreamPhase.Streaming);
            for (; next < Rows * (crash + 1) / 4; next++)
                await stream.SourceAsync($"INSERT INTO item VALUES ({next}), (1000 + {next})");
            Assert.Equal(CrashingStore.Message, (await stream.FailureAsync()).Message);
        }

        await stream.StartAndCatchUpAsync();

        var lines = sink.Lines();
        var positions = lines.GroupBy(static line => Position(line)).ToList();
        Assert.Equal(Rows * 2, positions.Count);
        Assert.True(lines.Count > positions.Count, "no line came twice, so the crash proves nothing");
        Assert.All(positions, same => Assert.Single(same.Distinct()));
        Assert.Equal(
            Enumerable.Range(0, Rows).SelectMany(static i => (int[])[i, 1000 + i]).Order(),
            positions.Select(same => JsonDocument.Parse(same.First()).RootElement.GetProperty("new").GetProperty("id").GetInt32()).Order());
    }

    [Fact]
    public async Task An_output_that_nobody_reads_ends_the_stream_and_the_next_run_goes_on()
    {
        var sink = new LineSink();
        await using var stream = await CreateAsync(sink, "CREATE TABLE item (id int PRIMARY KEY)");
        await stream.StartAndCatchUpAsync();
        sink.Refusal = new IOException("Broken pipe");
        await stream.SourceAsync("INSERT INTO item VALUES (1)");

        var failure = await stream.FailureAsync();
        sink.Refusal = null;
        await stream.StartAndCatchUpAsync();

        Assert.Equal(StreamErrorKind.Target, failure.Kind);
        Assert.Contains("takes no more lines: Broken pipe", failure.Message, StringComparison.Ordinal);
        Assert.Single(sink.Lines());
    }

    [Fact]
    public async Task A_stream_is_taken_back_with_its_checkpoint_and_begins_anew()
    {
        var sink = new LineSink();
        await using var stream = await CreateAsync(sink, "CREATE TABLE item (id int PRIMARY KEY)");
        await stream.StartAndCatchUpAsync();
        Assert.Equal(StreamErrorKind.Fenced, (await Assert.ThrowsAsync<StreamException>(() => StreamTeardown.DestroyAsync(stream.Options, false, Cancelled))).Kind);
        await stream.StopAsync();

        await StreamTeardown.DestroyAsync(stream.Options, dropCopied: false, Cancelled);

        Assert.Empty(Directory.GetFiles(Path.GetDirectoryName(stream.Options.Stdout!.CheckpointFile)!));
        Assert.Empty(await StreamHarness.ColumnAsync(stream.Source, $"SELECT slot_name::text FROM pg_replication_slots WHERE slot_name = '{stream.Options.SlotName}'"));
        Assert.Empty(await StreamHarness.ColumnAsync(stream.Source, "SELECT pubname::text FROM pg_publication"));
        await stream.SourceAsync("INSERT INTO item VALUES (1)");
        await stream.StartAndCatchUpAsync();
        Assert.Empty(sink.Lines());
    }

    static async Task<StreamHarness> CreateAsync(LineSink sink, string schema)
    {
        var stream = await StreamHarness.CreateAsync(schema);
        stream.Options = stream.Options with
        {
            Target = null!,
            Stdout = new StdoutOptions { Output = sink, CheckpointFile = Path.Combine(TestFolder.New("lines"), "state", "a.checkpoint") },
        };
        return stream;
    }

    static (string, int) Position(string line)
    {
        using var json = JsonDocument.Parse(line);
        return (json.RootElement.GetProperty("lsn").GetString()!, json.RootElement.GetProperty("seq").GetInt32());
    }

    static string RepositoryRoot()
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Tributary.slnx")))
            folder = Path.GetDirectoryName(folder)!;
        return folder;
    }

    /// <summary>Ends the stream in place of a save, after the lines before it were written: what a crash there leaves.</summary>
    sealed class CrashingStore(ICheckpointStore inner, Func<bool> isDue) : ICheckpointStore
    {
        public const string Message = "The test ends the stream here.";

        public Checkpoint? Open() => inner.Open();

        public void Save(Checkpoint checkpoint)
        {
            if (isDue())
                throw new StreamException(StreamErrorKind.Target, Message);
            inner.Save(checkpoint);
        }


        public void Dispose() => inner.Dispose();
    }
}
