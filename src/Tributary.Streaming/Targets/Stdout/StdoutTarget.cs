using Tributary.Postgres;

namespace Tributary.Streaming.Targets.Stdout;

/// <summary>
/// Writes a line of JSON for each change (docs/change-lines.md) and keeps the position in a store of its own. Guarantee: at least once. Lines are
/// written and flushed before their position is saved, so a crash between the two sends them again, with equal <c>lsn</c> and <c>seq</c>.
/// </summary>
/// <param name="followed">Where shapes that have been written are told; null where nothing is taken from descriptions.</param>
internal sealed class StdoutTarget(
    StreamOptions options, StdoutOptions stdout, LineOutput output, ICheckpointStore checkpoints, FollowedTables? followed = null) : ITarget
{
    readonly ShapeJournal? _shapes = followed is null ? null : new ShapeJournal(stdout.ShapesFile);
    readonly ChangeLines _lines = new(stdout.BufferBytesMax);
    Checkpoint? _checkpoint;
    long _epoch = 1;

    public Task<Checkpoint?> OpenAsync(CancellationToken cancellationToken)
    {
        _checkpoint = checkpoints.Open();
        _epoch = _checkpoint?.Epoch ?? 1;
        _shapes?.Open(_checkpoint?.Position);
        followed?.Load(_shapes!.Shapes);
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
        var changed = 0L;
        foreach (var transaction in batch.Transactions)
        {
            var sequence = 0L;
            if (!transaction.IsSpooled)
            {
                changed += (await AddAsync(transaction, transaction.Changes, sequence, cancellationToken)).Changed;
                continue;
            }

            await foreach (var piece in transaction.ReadPiecesAsync(cancellationToken))
            {
                var (added, schemas) = await AddAsync(transaction, piece, sequence, cancellationToken);
                sequence += added;
                changed += schemas;
            }
        }

        if (batch.Transactions.Count > 0)
        {
            await WriteLinesAsync(cancellationToken);
            await output.FlushAsync(cancellationToken);
        }

        var hasTaken = _shapes?.Save() == true;
        Save(_checkpoint! with { Position = batch.Position });
        if (hasTaken)
            followed!.Load(_shapes!.Shapes);
        return new WriteOutcome(0, changed);
    }

    public ValueTask DisposeAsync()
    {
        checkpoints.Dispose();
        _lines.Dispose();
        return ValueTask.CompletedTask;
    }

    // Answers how many lines there are, and how many of them tell of the schema: a description that changes nothing has none.
    async Task<(long Added, long Changed)> AddAsync(Transaction transaction, IReadOnlyList<Change> changes, long before, CancellationToken cancellationToken)
    {
        var (added, changed) = (0L, 0L);
        foreach (var change in changes)
        {
            var line = change;
            if (change.Schema is { IsDescription: true } described)
            {
                if (_shapes?.Take(described, transaction.CommitEndLsn) is not { } shown)
                    continue;
                line = change with { Schema = shown };
            }

            if (line.Kind == ChangeKind.Schema)
                changed++;
            _lines.Add(transaction, line, before + ++added);
            if (_lines.Written.Length >= stdout.BufferBytesMax)
                await WriteLinesAsync(cancellationToken);
        }

        return (added, changed);
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
