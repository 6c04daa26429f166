using Npgsql;

namespace Tributary.Streaming.Targets.Postgres;

/// <summary>
/// Writes one transaction of the source that is on disk: its pieces, then the position, in one transaction of the target. Memory does not grow with it.
/// </summary>
/// <param name="saveAsync">Saves the position within the session's open transaction.</param>
internal sealed class LargeTransaction(NpgsqlConnection connection, Func<TransactionBatch, CancellationToken, Task> saveAsync)
{
    public async Task<WriteOutcome> WriteAsync(TransactionBatch batch, CancellationToken cancellationToken)
    {
        try
        {
            return await WriteAsync(batch, careful: false, cancellationToken);
        }
        catch (PostgresException exception) when (PieceWriter.IsData(exception))
        {
            // Either a constraint holds only in the order of the source, or the row that cannot be written will be known.
            return await WriteAsync(batch, careful: true, cancellationToken);
        }
    }

    async Task<WriteOutcome> WriteAsync(TransactionBatch batch, bool careful, CancellationToken cancellationToken)
    {
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        var writer = new PieceWriter(connection, batch.Position);
        await foreach (var piece in batch.Transactions[0].ReadPiecesAsync(cancellationToken))
            await writer.WriteAsync(piece, careful, cancellationToken);
        await saveAsync(batch, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return new WriteOutcome(writer.MissingRows);
    }
}
