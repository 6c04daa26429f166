using Tributary.Postgres;
using Tributary.Streaming.Copying;
using Tributary.Streaming.Sources;
using Tributary.Streaming.Targets.Postgres;

namespace Tributary.Streaming.Tests.Faults;

/// <summary>
/// What happens to a table between the copy's snapshot and the reading of its rows: some commands make them invisible to the snapshot without an
/// error, so the copy would begin with a table that is empty.
/// </summary>
public sealed class CopyRaceTests
{
    const string Schema =
        """
        CREATE TABLE item (id int PRIMARY KEY, amount int NOT NULL);
        CREATE TABLE other (id int PRIMARY KEY, amount int NOT NULL);
        CREATE TABLE part (id int PRIMARY KEY, amount int NOT NULL) PARTITION BY RANGE (id);
        CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (50);
        CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (50) TO (1000);
        INSERT INTO item SELECT i, i FROM generate_series(1, 99) i;
        INSERT INTO other SELECT i, -i FROM generate_series(1, 10) i;
        INSERT INTO part SELECT i, i FROM generate_series(1, 99) i;
        """;

    static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public static TheoryData<string> Commands =>
    [
        "ALTER TABLE item ALTER amount TYPE bigint",
        "TRUNCATE item",
        "TRUNCATE part",
        "ALTER TABLE part ALTER amount TYPE bigint",
        "BEGIN; ALTER TABLE item RENAME TO spare; ALTER TABLE other RENAME TO item; ALTER TABLE spare RENAME TO other; COMMIT",
    ];

    [Theory]
    [MemberData(nameof(Commands))]
    public Task A_table_whose_rows_are_gone_is_copied_anew(string command) => CopyAsync(command, SchemaMode.Auto, attempts: 2);

    // Without commands that are carried nothing would ever bring the rows back.
    [Theory]
    [InlineData("ALTER TABLE item ALTER amount TYPE bigint")]
    [InlineData("TRUNCATE item")]
    public Task It_is_copied_anew_also_where_the_schema_is_not_carried(string command) => CopyAsync(command, SchemaMode.None, attempts: 2);

    [Theory]
    [InlineData("UPDATE item SET amount = amount + 1; DELETE FROM part WHERE id > 90")]
    [InlineData("CREATE TABLE part_3 PARTITION OF part FOR VALUES FROM (1000) TO (2000)")]
    [InlineData("ALTER TABLE item ADD COLUMN note text; CREATE INDEX ON item (amount)")]
    public Task What_the_snapshot_still_shows_is_copied_once(string command) => CopyAsync(command, SchemaMode.Auto, attempts: 1);

    static async Task CopyAsync(string command, SchemaMode mode, int attempts)
    {
        await using var stream = await StreamHarness.CreateAsync(Schema);
        stream.Options = stream.Options with { Schema = mode };
        var logger = stream.LoggerFactory.CreateLogger("test");
        var copy = new RacedCopy(
            new InitialCopy(stream.Options, TimeProvider.System),
            onSnapshot: () => stream.SourceAsync(command),
            onCopied: () => StreamHarness.ScalarAsync(stream.Target, "SELECT count(*) FROM (SELECT id FROM item UNION ALL SELECT id FROM other) t"));
        var whole = command.StartsWith("TRUNCATE item", StringComparison.Ordinal) ? 10L : 109L;

        stream.Start(new StreamPipeline(
            stream.Options, () => new ReplicationSource(stream.Options, TimeProvider.System),
            () => new PostgresTarget(stream.Options, TimeProvider.System, logger), copy, TimeProvider.System, logger));
        await stream.CatchUpAsync();

        Assert.Equal(attempts, copy.Attempts);
        Assert.Equal(whole, copy.Copied);
        await stream.AssertEqualAsync();
    }

    /// <summary>Does something to the source when the first attempt has its snapshot and no rows yet.</summary>
    sealed class RacedCopy(InitialCopy inner, Func<Task> onSnapshot, Func<Task<object?>> onCopied) : IInitialCopy
    {
        public int Attempts { get; private set; }

        public object? Copied { get; private set; }

        public Task RefuseOthersAsync(CancellationToken cancellationToken) => inner.RefuseOthersAsync(cancellationToken);

        public async Task<Lsn> RunAsync(Checkpoint copying, ICopyProgress progress, CancellationToken cancellationToken)
        {
            Attempts++;
            var position = await inner.RunAsync(copying, Attempts == 1 ? new Racer(progress, onSnapshot) : progress, cancellationToken);
            Copied = await onCopied();
            return position;
        }
    }

    sealed class Racer(ICopyProgress inner, Func<Task> onSnapshot) : ICopyProgress
    {
        public void SchemaStarted() => inner.SchemaStarted();

        public void RowsStarted(int tables, long rowsEstimated)
        {
            onSnapshot().Wait(Cancelled);
            inner.RowsStarted(tables, rowsEstimated);
        }

        public void RowsCopied(long rows, long bytes) => inner.RowsCopied(rows, bytes);

        public void TableDone(long rowsEstimated, long rows) => inner.TableDone(rowsEstimated, rows);

        public void Finished() => inner.Finished();
    }
}
