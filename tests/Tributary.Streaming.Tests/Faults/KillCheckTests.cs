using Tributary.Load.Kill;
using Tributary.Postgres;
using Tributary.Streaming.Copying;
using Tributary.Streaming.Sources;
using Tributary.Streaming.Targets.Postgres;

namespace Tributary.Streaming.Tests.Faults;

/// <summary>The checks of the kill benchmark report a fault that is there, and none that is not.</summary>
public sealed class KillCheckTests
{
    static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_target_that_saves_its_position_before_its_rows_is_found_out(bool isPlanted)
    {
        await using var stream = await StreamHarness.CreateAsync(KillWorkload.Schema);
        var logger = stream.LoggerFactory.CreateLogger("test");
        await stream.StartAndCatchUpAsync();
        await stream.StopAsync();
        // A lost change of a seat would stop the stream at the next one, by the unique index, before any check could speak.
        await stream.TargetAsync("ALTER TABLE seat DROP CONSTRAINT seat_number_key");
        var watch = InvariantWatch.Start(stream.Target);
        long transactions;
        await using (var load = KillWorkload.Start(stream.Source, writers: 3, seed: 5))
        {
            for (var round = 0; round < 6; round++)
            {
                stream.Start(new StreamPipeline(
                    stream.Options, () => new ReplicationSource(stream.Options, TimeProvider.System),
                    () => NewTarget(new PostgresTarget(stream.Options, TimeProvider.System, logger), isPlanted),
                    new InitialCopy(stream.Options, TimeProvider.System), TimeProvider.System, logger));
                await stream.WaitAsync(status => status.Transactions > 20);
                await stream.StopAsync();
            }

            transactions = load.Transactions;
        }

        await stream.StartAndCatchUpAsync();
        var comparison = await RowComparison.RunAsync(stream.Source, stream.Target, Cancelled);
        await watch.DisposeAsync();

        Assert.True(transactions > 100, $"{transactions} transactions are too few");
        Assert.True(watch.Reads > 10, $"{watch.Reads} snapshots are too few");
        Assert.Equal(isPlanted, comparison.Lost > 0);
        Assert.Equal(isPlanted, watch.Broken > 0);
        if (!isPlanted)
            Assert.Equal((0L, 0), (comparison.Doubled, comparison.Tables.Count));
    }

    [Fact]
    public async Task Single_rows_that_are_lost_doubled_or_different_are_counted()
    {
        await using var stream = await StreamHarness.CreateAsync("CREATE TABLE a (v text); INSERT INTO a SELECT 'same' FROM generate_series(1, 9); CREATE TABLE b (id int, v text); INSERT INTO b VALUES (1, 'x'), (2, 'y')");
        await stream.StartAndCatchUpAsync();

        Assert.Equal((11L, 0L, 0L), Counts(await RowComparison.RunAsync(stream.Source, stream.Target, Cancelled)));
        await stream.TargetAsync("INSERT INTO a VALUES ('same')");
        Assert.Equal((11L, 0L, 1L), Counts(await RowComparison.RunAsync(stream.Source, stream.Target, Cancelled)));
        await stream.TargetAsync("DELETE FROM a WHERE ctid IN (SELECT ctid FROM a LIMIT 3); UPDATE b SET v = 'z' WHERE id = 1");
        Assert.Equal((11L, 3L, 1L), Counts(await RowComparison.RunAsync(stream.Source, stream.Target, Cancelled)));
    }

    static ITarget NewTarget(ITarget inner, bool isPlanted) => isPlanted ? new HastyTarget(inner) : inner;

    static (long, long, long) Counts(RowComparison comparison) => (comparison.Rows, comparison.Lost, comparison.Doubled);

    /// <summary>Saves the batch's position, and only then writes its rows.</summary>
    sealed class HastyTarget(ITarget inner) : ITarget
    {
        public Task<Checkpoint?> OpenAsync(CancellationToken cancellationToken) => inner.OpenAsync(cancellationToken);

        public Task<Checkpoint> BeginCopyAsync(SourceIdentity source, CancellationToken cancellationToken) => inner.BeginCopyAsync(source, cancellationToken);

        public Task<Checkpoint> CompleteCopyAsync(Lsn position, CancellationToken cancellationToken) => inner.CompleteCopyAsync(position, cancellationToken);

        public async Task<WriteOutcome> WriteAsync(TransactionBatch batch, CancellationToken cancellationToken)
        {
            await inner.WriteAsync(batch with { Transactions = [] }, cancellationToken);
            await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System, cancellationToken);
            return await inner.WriteAsync(batch, cancellationToken);
        }

        public ValueTask DisposeAsync() => inner.DisposeAsync();
    }
}
