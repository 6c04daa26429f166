using Tributary.Postgres;

namespace Tributary.Streaming;

/// <summary>Where changes come from. One instance serves one connection; after a lost link the pipeline makes a new one.</summary>
public interface ISource : IAsyncDisposable
{
    /// <summary>The newest position heard of, keep-alives included. It must be read before asking whether anything is in flight.</summary>
    Lsn LastReceivedLsn { get; }

    /// <summary>Whether its connections are open. One that is lost while nobody uses it shows at its next use, and then not as a lost link.</summary>
    bool IsLinked => true;

    /// <summary>Bytes of large transactions that wait on disk now.</summary>
    long SpoolBytes { get; }

    /// <summary>Connects and says who the source is.</summary>
    Task<SourceIdentity> OpenAsync(CancellationToken cancellationToken);

    /// <summary>Makes sure that the source still holds everything behind the checkpoint.</summary>
    /// <exception cref="StreamException">Kind Gap: it does not.</exception>
    Task VerifyAsync(Checkpoint checkpoint, CancellationToken cancellationToken);

    /// <summary>Yields what was committed behind <paramref name="after"/>, in commit order, until cancelled or the link is lost.</summary>
    IAsyncEnumerable<SourceEvent> ReadAsync(Lsn after, CancellationToken cancellationToken);

    /// <summary>Lets the source forget everything before the position. Only <c>AckTracker</c> calls it.</summary>
    void ConfirmFlushed(Lsn lsn);

    /// <summary>Writes a message into the source's log, which comes back through <see cref="ReadAsync"/>; answers its position, or null without the right or the means.</summary>
    Task<Lsn?> BeatAsync(CancellationToken cancellationToken);
}

/// <param name="SystemIdentifier">Differs between any two clusters, also between a cluster and one restored from its dump.</param>
/// <param name="Timeline">
/// Grows with each promotion. 0 for a standby, whose timeline can change under a running stream.
/// </param>
public sealed record SourceIdentity(string SystemIdentifier, uint Timeline);

public enum SourceEventKind
{
    /// <summary>A transaction begins to arrive; positions heard of from now on may lie behind its commit.</summary>
    Entered,

    /// <summary>A transaction has arrived in full.</summary>
    Committed,

    /// <summary>A transaction that had entered is undone, or was not wanted.</summary>
    Left,

    /// <summary>Everything before the position has arrived.</summary>
    Reached,
}

/// <param name="Transaction">Set for <see cref="SourceEventKind.Committed"/>; the receiver disposes it.</param>
/// <param name="Xid">The transaction that enters, leaves or is committed.</param>
public readonly record struct SourceEvent(SourceEventKind Kind, Lsn Lsn, Transaction? Transaction, uint Xid = 0)
{
    /// <summary>Set when a transaction enters that arrives in parts before its commit.</summary>
    internal IOpenTransaction? Open { get; init; }
}
