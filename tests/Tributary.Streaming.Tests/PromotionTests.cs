using Tributary.Postgres;
using Tributary.Postgres.Programs;
using Tributary.Streaming.Sources;
using Tributary.Testing;

namespace Tributary.Streaming.Tests;

/// <summary>The source is, or becomes, another server of the same cluster.</summary>
public sealed class PromotionTests
{
    const string Table = "CREATE TABLE item (id int PRIMARY KEY, v text)";

    static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_promoted_standby_that_has_all_goes_on_and_one_that_lacks_something_is_refused()
    {
        await using var source = await TestServers.StartAsync(["wal_level = logical"]);
        await using var stream = await StreamHarness.CreateAsync(source, await TestServers.SharedAsync(), Table);
        await stream.StartAndCatchUpAsync();
        await stream.StopAsync();

        // Its own log's end is behind the saved position: nothing is lost.
        await BecomeStandbyAsync(source);
        await PromoteAsync(stream);
        await stream.SourceAsync("INSERT INTO item VALUES (1, 'on timeline 2')");
        await stream.StartAndCatchUpAsync();
        await stream.StopAsync();
        await stream.AssertEqualAsync();
        Assert.Equal(2L, await StreamHarness.ScalarAsync(stream.Target, "SELECT timeline FROM tributary.progress"));

        // A copy, slot included, from before the rows that the target gets next.
        var older = source.DataDirectory + ".older";
        await source.StopAsync("INT", Cancelled);
        await RunAsync("cp", "-a", source.DataDirectory, older);
        await source.StartAsync(Cancelled);
        await stream.StartAndCatchUpAsync();
        await stream.SourceAsync("INSERT INTO item SELECT n, 'lost by the source' FROM generate_series(100, 1000) n");
        await stream.CatchUpAsync();
        await stream.StopAsync();
        await source.StopAsync("INT", Cancelled);
        Directory.Delete(source.DataDirectory, recursive: true);
        Directory.Move(older, source.DataDirectory);
        await source.StartAsync(Cancelled);
        await BecomeStandbyAsync(source);
        await PromoteAsync(stream);
        await stream.SourceAsync("INSERT INTO item SELECT n, 'would be skipped' FROM generate_series(2000, 2010) n");

        stream.Start();
        var failure = await stream.FailureAsync();

        Assert.Equal(StreamErrorKind.Gap, failure.Kind);
        Assert.Contains("was promoted at", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_standby_is_a_source_and_stays_one_through_its_promotion()
    {
        await using var source = await StartStandbyCapableAsync();
        await using var stream = await StreamHarness.CreateAsync(source, await TestServers.SharedAsync(), Table);
        await stream.StartAndCatchUpAsync();
        await stream.StopAsync();
        await stream.SourceAsync("INSERT INTO item VALUES (1, 'read from the standby'); CHECKPOINT");

        await BecomeStandbyAsync(source);
        stream.Start();
        await stream.WaitAsync(status => status.Transactions == 1);
        await PromoteAsync(stream);
        await stream.SourceAsync("INSERT INTO item VALUES (2, 'read from the primary')");
        await stream.CatchUpAsync();

        await stream.AssertEqualAsync();
        Assert.Equal(0, stream.Pipeline!.Status.Reconnections);
    }

    [Fact]
    public async Task The_existing_rows_are_copied_from_a_standby_too()
    {
        await using var primary = await StartStandbyCapableAsync();
        await using var stream = await StreamHarness.CreateAsync(primary, await TestServers.SharedAsync(), Table);
        var genuine = stream.Options;
        await stream.SourceAsync($"INSERT INTO item SELECT n, 'old' FROM generate_series(1, 1000) n; CREATE PUBLICATION {genuine.PublicationName} FOR ALL TABLES");
        await using var standby = await StandbyServer.StartAsync(primary, Cancelled);
        await standby.UntilAsync(genuine.Source.Database, "SELECT EXISTS (SELECT FROM item)");
        stream.Options = genuine with { Source = genuine.Source with { Port = standby.Port } };

        stream.Start();
        // A slot on a standby begins where the primary has told which transactions run; on an idle primary somebody must ask it to.
        while (stream.Pipeline!.Status.Phase != StreamPhase.Streaming)
        {
            await stream.SourceAsync("SELECT pg_log_standby_snapshot()");
            await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System, Cancelled);
        }

        await stream.SourceAsync("INSERT INTO item VALUES (1001, 'new'); UPDATE item SET v = 'changed' WHERE id < 10; SELECT pg_log_standby_snapshot()");
        await stream.WaitAsync(status => status.Transactions == 1);

        await stream.AssertEqualAsync();
        await stream.StopAsync();
    }

    [Fact]
    public async Task A_slot_fails_over_where_the_server_knows_how()
    {
        var server = await TestServers.ForMajorAsync(17);
        await using var stream = await StreamHarness.CreateAsync(server, server, Table);
        const string Failover = "SELECT failover::text FROM pg_replication_slots WHERE slot_name = '{0}'";

        stream.Options = stream.Options with { FailoverSlot = false };
        await stream.StartAndCatchUpAsync();
        Assert.Equal(["false"], await StreamHarness.ColumnAsync(stream.Source, string.Format(Failover, stream.Options.SlotName)));
        await stream.StopAsync();
        stream.Options = stream.Options with { FailoverSlot = true };
        await stream.StartAndCatchUpAsync();

        Assert.Equal(["true"], await StreamHarness.ColumnAsync(stream.Source, string.Format(Failover, stream.Options.SlotName)));
    }

    [Theory]
    [InlineData("1\t0/3000060\tno recovery target specified\n", 1u, "0/3000060")]
    [InlineData("# a comment\n\n1\t0/3000060\tbefore\n2\t1/0\tafter\n", 2u, "1/0")]
    [InlineData("1\t0/3000060\tno recovery target specified\n", 2u, null)]
    [InlineData("", 1u, null)]
    public void A_history_says_where_a_timeline_ended(string history, uint timeline, string? end) =>
        Assert.Equal(end is null ? null : Lsn.Parse(end), TimelineCheck.EndOf(timeline, history));

    // Logical decoding on a standby exists from Postgres 16 on.
    static async Task<PostgresServer> StartStandbyCapableAsync()
    {
        var installation = (await TestServers.ForMajorAsync(18)).Installation;
        return await TestServers.StartAsync(installation, ["wal_level = logical"]);
    }

    static async Task BecomeStandbyAsync(PostgresServer server)
    {
        await server.StopAsync("INT", Cancelled);
        var signal = Path.Combine(server.DataDirectory, "standby.signal");
        await File.WriteAllTextAsync(signal, "", Cancelled);
        PostgresUser.Own(signal);
        await server.StartAsync(Cancelled);
    }

    static async Task PromoteAsync(StreamHarness stream)
    {
        Assert.Equal(true, await StreamHarness.ScalarAsync(stream.Source, "SELECT pg_promote()"));
        await StreamHarness.UntilAsync(async () => await StreamHarness.ScalarAsync(stream.Source, "SELECT pg_is_in_recovery()") is false);
    }

    static async Task RunAsync(string program, params string[] arguments) =>
        (await ChildProcesses.RunAsync(new ChildProcessSpec(program, arguments), Cancelled)).EnsureSucceeded(program);
}
