using System.Globalization;
using System.Text;
using Npgsql;
using Tributary.Postgres;
using Tributary.Streaming.Copying;
using Tributary.Streaming.Sources;
using Tributary.Streaming.Targets.Postgres;

namespace Tributary.Streaming.Tests.Faults;

/// <summary>
/// Few keys, many writers, links that break before and after a commit: what a target keeps for each key is what happened to it at the source,
/// in that order, each step once.
/// </summary>
public sealed class KeyOrderTests
{
    const int Keys = 5;

    static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Events_of_a_key_are_seen_in_commit_order_each_once(int seed)
    {
        await using var stream = await StreamHarness.CreateAsync(
            $"CREATE TABLE step (id int PRIMARY KEY, n int NOT NULL, filler text); INSERT INTO step SELECT i, 0 FROM generate_series(1, {Keys}) i");
        stream.Options = stream.Options with { ReconnectDelayMax = TimeSpan.FromMilliseconds(5), BatchRowsMax = 25 };
        var history = new History();
        var random = new Random(seed);
        var logger = stream.LoggerFactory.CreateLogger("test");
        stream.Start(new StreamPipeline(
            stream.Options, () => new ReplicationSource(stream.Options, TimeProvider.System),
            () => new RecordingTarget(new PostgresTarget(stream.Options, TimeProvider.System, logger), history, random),
            new InitialCopy(stream.Options, TimeProvider.System), TimeProvider.System, logger));
        await stream.CatchUpAsync();

        await Task.WhenAll(Enumerable.Range(0, 4).Select(writer => WriteAsync(stream.Source, new Random((seed * 100) + writer))));
        await stream.CatchUpAsync();

        Assert.True(stream.Pipeline!.Status.Reconnections >= 5, $"{stream.Pipeline.Status.Reconnections} breaks are too few");
        Assert.Equal(history.Commits.Order(), history.Commits);
        Assert.Equal(history.Commits.Count, history.Commits.Distinct().Count());
        for (var key = 1; key <= Keys; key++)
        {
            var last = (int)(await StreamHarness.ScalarAsync(stream.Source, $"SELECT n FROM step WHERE id = {key}"))!;
            Assert.Equal(Enumerable.Range(1, last), history.Steps.Where(step => step.Key == key).Select(step => step.N));
        }

        await stream.AssertEqualAsync();
    }

    static async Task WriteAsync(string source, Random random)
    {
        await using var connection = new NpgsqlConnection(source);
        await connection.OpenAsync(Cancelled);
        for (var i = 0; i < 150; i++)
        {
            var sql = new StringBuilder("BEGIN;");
            // Ascending keys, so that the writers do not deadlock. A part of the steps takes the row away and brings a new one under its key.
            foreach (var key in Enumerable.Range(1, Keys).Where(_ => random.Next(3) == 0))
            {
                if (random.Next(3) == 0)
                    sql.Append(CultureInfo.InvariantCulture, $"WITH old AS (DELETE FROM step WHERE id = {key} RETURNING n) INSERT INTO step SELECT {key}, n + 1 FROM old;");
                else
                    sql.Append(CultureInfo.InvariantCulture, $"UPDATE step SET n = n + 1, filler = repeat('f', {random.Next(50)}) WHERE id = {key};");
            }

            await using var command = new NpgsqlCommand(sql.Append("COMMIT").ToString(), connection);
            await command.ExecuteNonQueryAsync(Cancelled);
        }
    }

    /// <summary>What the target has made durable.</summary>
    sealed class History
    {
        public List<Lsn> Commits { get; } = [];

        public List<(int Key, int N)> Steps { get; } = [];

        public async Task AddAsync(Transaction transaction)
        {
            Commits.Add(transaction.CommitEndLsn);
            if (!transaction.IsSpooled)
            {
                Add(transaction.Changes);
                return;
            }

            await foreach (var piece in transaction.ReadPiecesAsync(Cancelled))
                Add(piece);
        }

        void Add(IReadOnlyList<Change> changes)
        {
            foreach (var change in changes.Where(change => change.Kind is ChangeKind.Insert or ChangeKind.Update))
            {
                var reader = change.New.Read();
                Steps.Add((Next(ref reader), Next(ref reader)));
            }
        }

        static int Next(ref RowImage.Reader reader)
        {
            Assert.True(reader.Next());
            return reader.Kind == ValueKind.Binary
                ? System.Buffers.Binary.BinaryPrimitives.ReadInt32BigEndian(reader.Value.Span)
                : int.Parse(Encoding.ASCII.GetString(reader.Value.Span), CultureInfo.InvariantCulture);
        }
    }

    /// <summary>Notes what the inner target has made durable, and breaks the link now and then: before the write, or after it, when the answer is lost.</summary>
    sealed class RecordingTarget(ITarget inner, History history, Random random) : ITarget
    {
        public Task<Checkpoint?> OpenAsync(CancellationToken cancellationToken) => inner.OpenAsync(cancellationToken);

        public Task<Checkpoint> BeginCopyAsync(SourceIdentity source, CancellationToken cancellationToken) => inner.BeginCopyAsync(source, cancellationToken);

        public Task<Checkpoint> CompleteCopyAsync(Lsn position, CancellationToken cancellationToken) => inner.CompleteCopyAsync(position, cancellationToken);

        public async Task<WriteOutcome> WriteAsync(TransactionBatch batch, CancellationToken cancellationToken)
        {
            var fate = batch.Transactions.Count == 0 ? 0 : random.Next(5);
            if (fate == 1)
                throw new IOException("The link broke before the write.");
            var outcome = await inner.WriteAsync(batch, cancellationToken);
            foreach (var transaction in batch.Transactions)
                await history.AddAsync(transaction);
            return fate == 2 ? throw new IOException("The link broke after the write.") : outcome;
        }

        public ValueTask DisposeAsync() => inner.DisposeAsync();
    }
}
