using Tributary.Postgres;

namespace Tributary.Streaming.Sources;

internal enum PgOutputKind
{
    Begin,
    Commit,
    Origin,
    Relation,
    Type,
    Insert,
    Update,
    Delete,
    Truncate,
    Message,
}

/// <summary>One decoded message. The row images point into the bytes that were decoded.</summary>
internal ref struct PgOutputMessage
{
    public PgOutputKind Kind;

    /// <summary>Begin: the commit record's start. Commit: the commit's end. Message: the message's own position.</summary>
    public Lsn Lsn;

    /// <summary>Commit: microseconds since 2000-01-01 UTC.</summary>
    public long CommitTimeMicroseconds;

    public uint Xid;

    /// <summary>Relation and row messages; for a truncation its first table.</summary>
    public TableSchema? Table;

    public OldRowKind OldKind;

    public ReadOnlySpan<byte> Old;

    public ReadOnlySpan<byte> New;

    public TableTruncation? Truncation;

    /// <summary>Message: whether it belongs to a transaction.</summary>
    public bool Transactional;

    public ReadOnlySpan<byte> Prefix;

    public ReadOnlySpan<byte> Content;
}
