using Npgsql;

namespace Tributary.Streaming.Targets.Postgres;

/// <summary>
/// Writes one transaction of the source that is on disk: its pieces, then the position, in one transaction of the target. Memory does not grow with it.
/// </summary>
/// <param name="saveAsync">Saves the position within the session's open transaction.</param>
/// <param name="schemaAsync">Prepares for changes of the schema; called within the session's open transaction, and only when there are some.</param>
internal sealed class LargeTransaction(
    NpgsqlConnection connection, Func<TransactionBatch, CancellationToken, Task> saveAsync, Func<Transaction, CancellationToken, Task<LargeSchema>> schemaAsync)
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
        var large = batch.Transactions[0];
        var schema = large.Count > large.Counts().Total ? await schemaAsync(large, cancellationToken) : null;
        await foreach (var piece in large.ReadPiecesAsync(cancellationToken))
        {
            if (schema is null)
                await writer.WriteAsync(piece, careful, cancellationToken);
            else
                await schema.WriteAsync(writer, piece, careful, cancellationToken);
        }

        if (schema is not null)
            await schema.FinishAsync(cancellationToken);
        await saveAsync(batch, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return new WriteOutcome(writer.MissingRows, schema?.Commands ?? 0, schema?.Reports);
    }
}
