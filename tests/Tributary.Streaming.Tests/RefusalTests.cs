using Tributary.Postgres;
using Tributary.Streaming.Hosting;
using Tributary.Testing;

namespace Tributary.Streaming.Tests;

public sealed class RefusalTests
{
    const string Table = "CREATE TABLE item (id int PRIMARY KEY, v text); INSERT INTO item VALUES (1, 'a');";

    [Theory]
    [InlineData("SELECT pg_drop_replication_slot('{0}')", "does not exist")]
    [InlineData("SELECT pg_drop_replication_slot('{0}'); INSERT INTO item VALUES (2, 'lost'); SELECT pg_create_logical_replication_slot('{0}', 'pgoutput')", "recreated or moved")]
    [InlineData("INSERT INTO item VALUES (2, 'lost'); SELECT pg_replication_slot_advance('{0}', pg_current_wal_lsn())", "recreated or moved")]
    public async Task A_slot_that_does_not_continue_the_target_stops_the_stream(string harm, string reason)
    {
        await using var stream = await StreamHarness.CreateAsync(Table);
        await stream.StartAndCatchUpAsync();
        await stream.StopAsync();
        foreach (var statement in string.Format(harm, stream.Options.SlotName).Split("; "))
            await stream.SourceAsync(statement);

        stream.Start();
        var failure = await stream.FailureAsync();

        Assert.Equal(StreamErrorKind.Gap, failure.Kind);
        Assert.Contains(reason, failure.Message, StringComparison.Ordinal);
        Assert.Contains("stream destroy", failure.Message, StringComparison.Ordinal);

        await StreamTeardown.DestroyAsync(stream.Options, dropCopied: true, TestContext.Current.CancellationToken);
        await stream.StartAndCatchUpAsync();
        await stream.AssertEqualAsync();
    }

    [Fact]
    public async Task A_second_instance_is_refused()
    {
        await using var stream = await StreamHarness.CreateAsync(Table);
        await stream.StartAndCatchUpAsync();
        var second = StreamFactory.Create(
            stream.Options with { FenceWait = TimeSpan.FromMilliseconds(200) }, TimeProvider.System, Microsoft.Extensions.Logging.Abstractions.NullLoggerFactory.Instance);

        var failure = await Assert.ThrowsAsync<StreamException>(() => second.RunAsync(TestContext.Current.CancellationToken));

        Assert.Equal(StreamErrorKind.Fenced, failure.Kind);
    }

    [Fact]
    public async Task Rows_that_row_security_hides_from_the_role_stop_the_copy()
    {
        await using var stream = await StreamHarness.CreateAsync(Table);
        var role = $"reader_{Guid.NewGuid():N}"[..20];
        await stream.SourceAsync(
            $"CREATE ROLE {role} LOGIN REPLICATION; GRANT SELECT ON item TO {role}; ALTER TABLE item ENABLE ROW LEVEL SECURITY; CREATE POLICY few ON item USING (id > 1); " +
            $"CREATE PUBLICATION {stream.Options.PublicationName} FOR TABLE item");
        stream.Options = stream.Options with { Source = stream.Options.Source with { User = role } };

        stream.Start();
        var failure = await stream.FailureAsync();

        Assert.Equal(StreamErrorKind.Configuration, failure.Kind);
        Assert.Contains("row-level security", failure.Message, StringComparison.Ordinal);
        await stream.SourceAsync($"ALTER ROLE {role} BYPASSRLS");
        await stream.StartAndCatchUpAsync();
        await stream.AssertEqualAsync();
        await stream.StopAsync();
        await StreamTeardown.DestroyAsync(stream.Options, dropCopied: false, TestContext.Current.CancellationToken);
        await stream.SourceAsync($"DROP OWNED BY {role}; DROP ROLE {role}");
    }

    [Fact]
    public async Task Tables_of_a_user_in_the_target_are_not_overwritten()
    {
        await using var stream = await StreamHarness.CreateAsync(Table);
        await stream.TargetAsync("CREATE TABLE item (mine text); INSERT INTO item VALUES ('keep')");

        stream.Start();
        var failure = await stream.FailureAsync();

        Assert.Contains("already holds tables", failure.Message, StringComparison.Ordinal);
        Assert.Equal(["keep"], await StreamHarness.ColumnAsync(stream.Target, "SELECT mine FROM item"));
    }

    [Fact]
    public async Task A_changed_shape_stops_the_stream_and_names_the_table()
    {
        await using var stream = await StreamHarness.CreateAsync(Table);
        stream.Options = stream.Options with { Schema = SchemaMode.None };
        await stream.StartAndCatchUpAsync();

        await stream.SourceAsync("ALTER TABLE item ADD extra int; INSERT INTO item VALUES (2, 'b', 3)");
        var failure = await stream.FailureAsync();
        Assert.Equal(StreamErrorKind.Schema, failure.Kind);
        Assert.Contains("\"public\".\"item\"", failure.Message, StringComparison.Ordinal);
        await stream.TargetAsync("ALTER TABLE item ADD extra int");
        await stream.StartAndCatchUpAsync();

        await stream.AssertEqualAsync();
    }

    [Fact]
    public async Task A_row_that_the_target_refuses_stops_the_stream_without_showing_it()
    {
        await using var stream = await StreamHarness.CreateAsync(Table);
        await stream.StartAndCatchUpAsync();
        await stream.TargetAsync("ALTER TABLE item ADD CONSTRAINT no_secret CHECK (v <> 'secret')");

        await stream.SourceAsync("INSERT INTO item VALUES (2, 'fine'), (3, 'secret')");
        var failure = await stream.FailureAsync();

        Assert.Equal(StreamErrorKind.Data, failure.Kind);
        Assert.Contains("\"public\".\"item\"", failure.Message, StringComparison.Ordinal);
        Assert.Contains("change 2", failure.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("'secret'", failure.Message, StringComparison.Ordinal);
        Assert.Equal(["a"], await StreamHarness.ColumnAsync(stream.Target, "SELECT v FROM item"));
    }

    [Fact]
    public async Task Preflight_names_what_is_wrong()
    {
        await using var stream = await StreamHarness.CreateAsync("CREATE TABLE keyless (v text);");
        var cancelled = TestContext.Current.CancellationToken;

        var warning = Assert.Single(await StreamPreflight.CheckAsync(stream.Options, cancelled), finding => finding.Severity != FindingSeverity.Note);
        Assert.Equal(FindingSeverity.Warning, warning.Severity);
        Assert.Contains("REPLICA IDENTITY FULL", warning.Sql, StringComparison.Ordinal);
        var nowhere = stream.Options with { Target = stream.Options.Target with { Database = "nowhere" } };
        Assert.Contains(await StreamPreflight.CheckAsync(nowhere, cancelled), finding => finding.Sql == "CREATE DATABASE \"nowhere\";");
        var closed = stream.Options with { Source = stream.Options.Source with { Port = 1 } };
        Assert.Contains(await StreamPreflight.CheckAsync(closed, cancelled), finding => finding.Problem.StartsWith("no answer", StringComparison.Ordinal));

        await using var plain = await TestServers.StartAsync(["wal_level = replica"]);
        Assert.True(PostgresUrl.TryParse(plain.Url(), out var url, out _));
        var findings = await StreamPreflight.CheckAsync(stream.Options with { Source = url }, cancelled);
        Assert.Contains(findings, finding => finding.Sql == "ALTER SYSTEM SET wal_level = logical;");
    }
}
