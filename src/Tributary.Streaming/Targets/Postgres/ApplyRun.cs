using Tributary.Postgres;

namespace Tributary.Streaming.Targets.Postgres;

internal enum RunKind
{
    Insert,

    /// <summary>Found by the key of the new row, which is also the old one's.</summary>
    Update,

    /// <summary>Found by the key of the old row; the key is written too.</summary>
    UpdateKey,
    Delete,

    /// <summary>One row of a table without a key, found by all its columns.</summary>
    UpdateWhole,
    DeleteWhole,
    Truncate,
}

/// <summary>What two changes must share to be written by one statement.</summary>
/// <param name="Columns">The columns that are written, as a text of their indexes; empty for all, the usual case.</param>
internal readonly record struct RunShape(TargetTable Table, RunKind Kind, string Columns);

/// <summary>Changes that one statement writes. No two of them concern the same row.</summary>
internal sealed class ApplyRun(RunShape shape)
{
    public RunShape Shape { get; } = shape;

    public List<LocatedChange> Changes { get; } = [];
}

/// <param name="Sequence">The change's place in its transaction.</param>
internal readonly record struct LocatedChange(Change Change, Lsn CommitEndLsn, int Sequence);
