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

    /// <summary>What follows up to <see cref="StreamStop"/> belongs to a transaction that is still open.</summary>
    StreamStart,
    StreamStop,
    StreamCommit,

    /// <summary>The whole transaction when <see cref="PgOutputMessage.SubXid"/> equals <see cref="PgOutputMessage.Xid"/>, otherwise one subtransaction.</summary>
    StreamAbort,
    BeginPrepare,
    Prepare,
    StreamPrepare,
    CommitPrepared,
    RollbackPrepared,
}

/// <summary>One decoded message. The row images point into the bytes that were decoded.</summary>
internal ref struct PgOutputMessage
{
    public PgOutputKind Kind;

    /// <summary>Begin: the commit record's start. Commit, prepare and their kin: the end of that record. Message: the message's own position.</summary>
    public Lsn Lsn;

    /// <summary>Commit and its kin: microseconds since 2000-01-01 UTC.</summary>
    public long CommitTimeMicroseconds;

    /// <summary>The top-level transaction; zero where the message neither names one nor stands between StreamStart and StreamStop.</summary>
    public uint Xid;

    /// <summary>Inside an open transaction: the subtransaction that the message belongs to, which is the transaction itself outside any savepoint.</summary>
    public uint SubXid;

    /// <summary>The name that a two-phase transaction was prepared under.</summary>
    public string? Gid;

    /// <summary>Relation and row messages; for a truncation its first table.</summary>
    public TableSchema? Table;

    public OldRowKind OldKind;

    public ReadOnlySpan<byte> Old;

    public ReadOnlySpan<byte> New;

    public TableTruncation? Truncation;

    /// <summary>Message: whether it belongs to a transaction.</summary>
    public bool Transactional;

    public ReadOnlySpan<byte> Prefix;

    /// <summary>Message: what it says.</summary>
    public ReadOnlySpan<byte> Content;
}
