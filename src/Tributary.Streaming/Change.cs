namespace Tributary.Streaming;

public enum ChangeKind
{
    Insert,
    Update,
    Delete,
    Truncate,
}

/// <summary>What the source sent of the row as it was.</summary>
public enum OldRowKind
{
    /// <summary>Nothing: the key did not change.</summary>
    None,

    /// <summary>The columns of the replica identity; the others are null.</summary>
    Key,

    /// <summary>All columns.</summary>
    Full,
}

/// <summary>One change of one row, or one TRUNCATE.</summary>
/// <param name="Table">For a TRUNCATE its first table.</param>
/// <param name="New">The row after an insert or an update; empty otherwise.</param>
/// <param name="Old">The row before an update or a delete, as far as <paramref name="OldKind"/> says.</param>
public readonly record struct Change(ChangeKind Kind, TableSchema Table, RowImage New, RowImage Old, OldRowKind OldKind, TableTruncation? Truncation = null);

/// <param name="Tables">All tables that the command emptied, those reached by CASCADE included.</param>
public sealed record TableTruncation(IReadOnlyList<TableSchema> Tables, bool Cascade, bool RestartIdentity);
