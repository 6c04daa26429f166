using Tributary.Postgres;

namespace Tributary.Streaming.Targets.Stdout;

/// <summary>
/// Writes a line of JSON for each change (docs/change-lines.md) and keeps the position in a store of its own. Guarantee: at least once. Lines are
/// written and flushed before their position is saved, so a crash between the two sends them again, with equal <c>lsn</c> and <c>seq</c>.
/// </summary>
internal sealed class StdoutTarget(StreamOptions options, StdoutOptions stdout, LineOutput output, ICheckpointStore checkpoints) : ITarget
{
    readonly ChangeLines _lines = new(stdout.BufferBytesMax);
    Checkpoint? _checkpoint;
    long _epoch = 1;

    public Task<Checkpoint?> OpenAsync(CancellationToken cancellationToken)
    {
        _checkpoint = checkpoints.Open();
        _epoch = _checkpoint?.Epoch ?? 1;
        return Task.FromResult(_checkpoint);
    }

    public Task<Checkpoint> BeginCopyAsync(SourceIdentity source, CancellationToken cancellationToken) =>
        Task.FromResult(Save(new Checkpoint(CheckpointState.Copying, source.SystemIdentifier, options.SlotName, Lsn.Zero, _epoch, source.Timeline)));

    public Task<Checkpoint> CompleteCopyAsync(Lsn position, CancellationToken cancellationToken) =>
        Task.FromResult(Save(_checkpoint! with { State = CheckpointState.Streaming, Position = position }));

    public Task<Checkpoint> SaveTimelineAsync(Checkpoint checkpoint, uint timeline, CancellationToken cancellationToken) =>
        Task.FromResult(Save(checkpoint with { Timeline = timeline }));

    public async Task<WriteOutcome> WriteAsync(TransactionBatch batch, CancellationToken cancellationToken)
    {
        foreach (var transaction in batch.Transactions)
        {
            var sequence = 0L;
            if (!transaction.IsSpooled)
            {
                await AddAsync(transaction, transaction.Changes, sequence, cancellationToken);
                continue;
            }

            await foreach (var piece in transaction.ReadPiecesAsync(cancellationToken))
            {
                await AddAsync(transaction, piece, sequence, cancellationToken);
                sequence += piece.Count;
            }
        }

        if (batch.Transactions.Count > 0)
        {
            await WriteLinesAsync(cancellationToken);
            await output.FlushAsync(cancellationToken);
        }

        Save(_checkpoint! with { Position = batch.Position });
        return new WriteOutcome(0);
    }

    public ValueTask DisposeAsync()
    {
        checkpoints.Dispose();
        _lines.Dispose();
        return ValueTask.CompletedTask;
    }

    async Task AddAsync(Transaction transaction, IReadOnlyList<Change> changes, long before, CancellationToken cancellationToken)
    {
        for (var i = 0; i < changes.Count; i++)
        {
            _lines.Add(transaction, changes[i], before + i + 1);
            if (_lines.Written.Length >= stdout.BufferBytesMax)
                await WriteLinesAsync(cancellationToken);
        }
    }

    // After a write that was left, the session ends and these lines with it; so they are never changed under a write.
    async Task WriteLinesAsync(CancellationToken cancellationToken)
    {
        await output.WriteAsync(_lines.Written, cancellationToken);
        _lines.Clear();
    }

    Checkpoint Save(Checkpoint checkpoint)
    {
        checkpoints.Save(checkpoint);
        _checkpoint = checkpoint;
        return checkpoint;
    }
}
