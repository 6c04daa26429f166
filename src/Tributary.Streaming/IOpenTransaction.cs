using Tributary.Postgres;

namespace Tributary.Streaming;

/// <summary>
/// A transaction that the source has not committed yet and whose changes are arriving on disk. Whoever follows it may write them ahead of the commit,
/// into a transaction that is committed or undone as the source's is.
/// </summary>
internal interface IOpenTransaction
{
    uint Xid { get; }

    /// <summary>
    /// What has arrived, then what arrives, in order. It ends with the transaction's commit, or earlier when the transaction is undone or the stream ends;
    /// <see cref="IsComplete"/> tells which. A part's changes are valid until the next one is asked for. One follower at a time.
    /// </summary>
    IAsyncEnumerable<OpenPart> FollowAsync(CancellationToken cancellationToken);

    /// <summary>The source has committed it, and nothing follows.</summary>
    bool IsComplete { get; }
}

/// <param name="After">What was committed up to here may have to be there before the changes can be written: a row that they change, for instance.</param>
/// <param name="SubXid">The subtransaction that made the changes or that is undone; the transaction itself outside any savepoint.</param>
/// <param name="Changes">Null: the subtransaction is undone, with all that it did.</param>
internal readonly record struct OpenPart(Lsn After, uint SubXid, IReadOnlyList<Change>? Changes);
