using Tributary.Postgres;

namespace Tributary.Streaming;

public enum StreamPhase
{
    Starting,
    CopyingSchema,
    CopyingRows,
    Streaming,
    Failed,
    Stopped,
}

/// <summary>A stream at one moment; it does not change afterwards.</summary>
/// <param name="SourceLsn">The newest position of the source that is known.</param>
/// <param name="ConfirmedLsn">The end of the last commit that the target holds for good and the source was told about.</param>
/// <param name="LagBytes">The distance between the two, in bytes of the source's log.</param>
/// <param name="LagP50Ms">
/// Milliseconds from the source's commit to the target's, over the transactions of the last minute at most; null when there were none. The commit time is the source's
/// clock and the end is this machine's, so the figure holds only as far as the two clocks agree.
/// </param>
/// <param name="MissingRows">Updates and deletes that found no row in the target.</param>
/// <param name="Batches">Writes to the target.</param>
/// <param name="InFlight">What has arrived from the source and is not in the target yet.</param>
/// <param name="LastError">The reason of the last failure or reconnection; null when there was none.</param>
/// <param name="SchemaChanges">Commands that changed the schema and were carried.</param>
/// <param name="SchemaReports">How much of them the target does not have.</param>
/// <param name="LastSchemaReports">The latest of these, newest last.</param>
/// <param name="FollowsDescriptions">Whether changes of the schema come from the descriptions of rows, since the source has no event triggers.</param>
public sealed record StreamStatus(
    string Name,
    StreamPhase Phase,
    CopyStatus Copy,
    long Transactions,
    ChangeCounts Changes,
    Lsn ConfirmedLsn,
    Lsn SourceLsn,
    long LagBytes,
    double? LagP50Ms,
    double? LagP99Ms,
    long MissingRows,
    int Reconnections,
    long Batches,
    InFlightStatus InFlight,
    string? LastError,
    long SchemaChanges = 0,
    long SchemaReports = 0,
    IReadOnlyList<SchemaReport>? LastSchemaReports = null,
    bool FollowsDescriptions = false);

/// <param name="Bytes">Row images in memory.</param>
/// <param name="SpoolBytes">Large transactions on disk.</param>
public sealed record InFlightStatus(long Transactions, long Bytes, long SpoolBytes);

/// <summary>How far the copy of the existing rows is.</summary>
/// <param name="Rows">Counted as they pass.</param>
/// <param name="RowsEstimated">From the source's statistics, corrected by each finished table; never below <paramref name="Rows"/>, and equal at the end.</param>
/// <param name="Bytes">Bytes of row data carried.</param>
/// <param name="Fraction">0 to 1; it never falls during a copy, and 1 means that the target holds all existing rows with their indexes.</param>
public sealed record CopyStatus(int TablesDone, int TablesTotal, long Rows, long RowsEstimated, long Bytes, double Fraction)
{
    /// <summary>What is left when every row is there: indexes and constraints.</summary>
    internal const double FractionBeforeIndexes = 0.99;

    internal static readonly CopyStatus None = new(0, 0, 0, 0, 0, 0);
}

/// <param name="Schemas">Commands that changed the schema.</param>
public sealed record ChangeCounts(long Inserts, long Updates, long Deletes, long Truncates, long Schemas = 0)
{
    internal static readonly ChangeCounts None = new(0, 0, 0, 0);

    public static ChangeCounts operator +(ChangeCounts left, ChangeCounts right) => new(
        left.Inserts + right.Inserts, left.Updates + right.Updates, left.Deletes + right.Deletes, left.Truncates + right.Truncates, left.Schemas + right.Schemas);

    public long Total => Inserts + Updates + Deletes + Truncates + Schemas;
}
