using Tributary.Testing;

namespace Tributary.Streaming.Tests.Faults;

/// <summary>Networks that break, stall and crawl between the stream and either side.</summary>
public sealed class NetworkTests
{
    static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_link_that_is_cut_at_any_byte_loses_and_doubles_nothing(bool isSource)
    {
        await using var stream = await StreamHarness.CreateAsync(BankLoad.Schema);
        await using var proxy = new CuttingProxy((await TestServers.SharedAsync()).Port);
        Route(stream, proxy, isSource);
        stream.Options = stream.Options with { ReconnectDelayMax = TimeSpan.FromMilliseconds(20) };
        await stream.StartAndCatchUpAsync();
        await using var load = BankLoad.Start(stream.Source);
        var random = new Random(isSource ? 1 : 2);

        for (var cuts = 1; cuts <= 12; cuts++)
        {
            // From the first message of a new connection to a few batches later.
            proxy.CutAfter(random.Next(1, 20_000));
            await stream.WaitAsync(_ => proxy.Cuts >= cuts);
        }

        await load.StopAsync();
        await stream.CatchUpAsync();
        Assert.True(stream.Pipeline!.Status.Reconnections >= 12);
        await load.AssertCarriedAsync(stream);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_slow_link_is_waited_for(bool isSource)
    {
        await using var source = await TestServers.StartAsync(["wal_level = logical", "wal_sender_timeout = 1s"]);
        await using var stream = await StreamHarness.CreateAsync(source, await TestServers.SharedAsync(), "CREATE TABLE event (id serial PRIMARY KEY, line text)");
        await using var proxy = new CuttingProxy(isSource ? source.Port : (await TestServers.SharedAsync()).Port);
        await stream.StartAndCatchUpAsync();
        await stream.StopAsync();
        Route(stream, proxy, isSource);
        (proxy.Delay, proxy.PieceBytes) = (TimeSpan.FromMilliseconds(20), 4096);

        await stream.StartAndCatchUpAsync();
        // About 600 kB, which take three times as long as the source waits for an answer.
        await stream.SourceAsync("INSERT INTO event (line) SELECT repeat('x', 100) FROM generate_series(1, 5000)");
        await stream.CatchUpAsync();

        Assert.Equal(0, stream.Pipeline!.Status.Reconnections);
        await stream.AssertEqualAsync();
    }

    [Fact]
    public async Task Rows_of_one_COPY_whose_commits_answer_is_lost_are_there_once_each()
    {
        await using var stream = await StreamHarness.CreateAsync("CREATE TABLE event (line text)");
        await using var proxy = new CuttingProxy((await TestServers.SharedAsync()).Port);
        Route(stream, proxy, isSource: false);
        await stream.StartAndCatchUpAsync();

        // All rows of a COPY's page lie in one record of the log, and so at one position; they are equal besides. So few of them reach the target
        // together with their commit, in one round trip.
        const int Rows = 200;
        Assert.True(Rows < stream.Options.CopyRowsMin);
        proxy.WithholdAnswersAfter("same words");
        await using (var connection = new Npgsql.NpgsqlConnection(stream.Source))
        {
            await connection.OpenAsync(Cancelled);
            await using var copy = await connection.BeginTextImportAsync("COPY event FROM STDIN", Cancelled);
            for (var i = 0; i < Rows; i++)
                await copy.WriteLineAsync("same words");
        }

        await StreamHarness.UntilAsync(async () => (long)(await StreamHarness.ScalarAsync(stream.Target, "SELECT count(*) FROM event"))! == Rows);
        proxy.Cut();
        await stream.CatchUpAsync();

        Assert.True(stream.Pipeline!.Status.Reconnections > 0);
        await stream.AssertEqualAsync();
    }

    static void Route(StreamHarness stream, CuttingProxy proxy, bool isSource) => stream.Options = isSource
        ? stream.Options with { Source = stream.Options.Source with { Host = "127.0.0.1", Port = proxy.Port } }
        : stream.Options with { Target = stream.Options.Target with { Host = "127.0.0.1", Port = proxy.Port } };
}
