namespace Tributary.Streaming.Targets.Postgres;

/// <summary>
/// Writes one transaction of the source that is on disk: its pieces, then the position, in one transaction of the target. Memory does not grow with it.
/// </summary>
internal sealed class LargeTransaction(ApplySession session, long epoch)
{
    /// <exception cref="RefusedException">The target refuses a row, also in the order of the source, or the position.</exception>
    public async Task<WriteOutcome> WriteAsync(TransactionBatch batch, CancellationToken cancellationToken)
    {
        try
        {
            return await WriteAsync(batch, careful: false, cancellationToken);
        }
        catch (RefusedException refused) when (refused.IsData && session.IsOpen)
        {
            // Either a constraint holds only in the order of the source, or the row that cannot be written will be known.
            return await WriteAsync(batch, careful: true, cancellationToken);
        }
    }

    async Task<WriteOutcome> WriteAsync(TransactionBatch batch, bool careful, CancellationToken cancellationToken)
    {
        try
        {
            // Nothing else is in flight, so what is waited for is not ours.
            await session.BeginAsync(lockTimeout: TimeSpan.Zero, cancellationToken);
            var writer = new PieceWriter(session, batch.Position);
            await foreach (var piece in batch.Transactions[0].ReadPiecesAsync(cancellationToken))
                await writer.WriteAsync(piece, careful, cancellationToken);
            await session.CommitAsync(batch.Position, batch.Transactions[0].CommitTime, epoch, cancellationToken);
            return new WriteOutcome(writer.MissingRows);
        }
        catch (RefusedException)
        {
            await session.RollbackAsync(cancellationToken);
            throw;
        }
    }
}
