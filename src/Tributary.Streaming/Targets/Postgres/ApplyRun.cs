using Tributary.Postgres;

namespace Tributary.Streaming.Targets.Postgres;

internal enum RunKind
{
    Insert,

    /// <summary>Found by the key, which stays.</summary>
    Update,

    /// <summary>Found by the key of the old row; the key is written too.</summary>
    UpdateKey,
    Delete,

    /// <summary>One row of a table without a key, found by all its columns.</summary>
    UpdateWhole,
    DeleteWhole,
    Truncate,
}

/// <summary>What two rows must share to be written by one statement.</summary>
/// <param name="Table">For a truncation the first of its tables.</param>
/// <param name="Columns">The columns that are written, as a text of their indexes; empty for all, the usual case.</param>
internal readonly record struct RunShape(TargetTable Table, RunKind Kind, string Columns);

/// <summary>What one statement or one COPY writes. No two of its rows are the same row of the table.</summary>
internal sealed class ApplyRun(RunShape shape)
{
    public RunShape Shape { get; } = shape;

    public List<ApplyRow> Rows { get; } = [];

    /// <summary>The tables of a TRUNCATE.</summary>
    public IReadOnlyList<TargetTable> Emptied { get; init; } = [];
}

/// <param name="New">The row as it is to be; empty for a delete.</param>
/// <param name="Key">An image whose key columns find the row; empty for an insert.</param>
/// <param name="Located">The last change that made the row so.</param>
internal readonly record struct ApplyRow(RowImage New, RowImage Key, LocatedChange Located);

/// <param name="Sequence">The change's place in its transaction.</param>
internal readonly record struct LocatedChange(Change Change, Lsn CommitEndLsn, long Sequence)
{
    public override string ToString() => $"transaction that ends at {CommitEndLsn}, change {Sequence + 1}";
}
