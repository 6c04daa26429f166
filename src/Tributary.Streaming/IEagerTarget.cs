namespace Tributary.Streaming;

/// <summary>
/// A target that can hold a transaction open beside its ordinary writes, so that a large one is written while it arrives and becomes visible soon after
/// its commit.
/// </summary>
internal interface IEagerTarget : ITarget
{
    /// <summary>Opens a second session with a transaction; null when the target cannot now.</summary>
    Task<IEagerTransaction?> BeginAsync(uint xid, CancellationToken cancellationToken);
}

/// <summary>What one open transaction of the source has done so far, undone by disposing. Calls are made one at a time, but for <see cref="IsInTheWayAsync"/>.</summary>
internal interface IEagerTransaction : IAsyncDisposable
{
    /// <summary>Writes one part, or undoes a subtransaction; false when it cannot, and then the whole must be given up.</summary>
    Task<bool> WriteAsync(OpenPart part, CancellationToken cancellationToken);

    /// <summary>Whether the target's ordinary writes wait for this transaction. It may be asked while a part is written.</summary>
    Task<bool> IsInTheWayAsync(CancellationToken cancellationToken);

    /// <summary>Saves the batch's position with what was written and commits both.</summary>
    /// <exception cref="StreamException">Kind Fenced: another instance has taken over.</exception>
    Task<WriteOutcome> CommitAsync(TransactionBatch batch, CancellationToken cancellationToken);
}
