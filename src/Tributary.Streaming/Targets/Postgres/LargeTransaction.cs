using Npgsql;
using Tributary.Postgres;

namespace Tributary.Streaming.Targets.Postgres;

/// <summary>Plans some changes of a transaction; the first of them has the place in it that the number says.</summary>
internal delegate Task<ApplyPlanner> PlanPiece(
    IReadOnlyList<Change> changes, Lsn commitEndLsn, long first, bool inOrder, CancellationToken cancellationToken);

/// <summary>
/// Writes one transaction of the source that is on disk: its pieces, then the position, in one transaction of the target. Memory does not grow with it.
/// To be used when nothing else is in flight.
/// </summary>
internal sealed class LargeTransaction(ApplySession session, PlanPiece plan, long epoch)
{
    const string Savepoint = "tributary_piece";

    /// <returns>How many updates and deletes found no row.</returns>
    /// <exception cref="RefusedException">The target cannot take it; it has undone all of it.</exception>
    public async Task<long> WriteAsync(TransactionBatch batch, CancellationToken cancellationToken)
    {
        try
        {
            return await AttemptAsync(batch, careful: false, cancellationToken);
        }
        catch (RefusedException refused) when (refused.IsData && session.IsOpen)
        {
            // Either a constraint holds only in the order of the source, or the row that cannot be written will be known. A savepoint a piece is what the
            // first attempt has saved.
            return await AttemptAsync(batch, careful: true, cancellationToken);
        }
    }

    async Task<long> AttemptAsync(TransactionBatch batch, bool careful, CancellationToken cancellationToken)
    {
        var transaction = batch.Transactions[0];
        var (missing, first) = (0L, 0L);
        try
        {
            // Whoever still holds a row is no session of ours; it is waited for as long as it takes, as every session does by default.
            await session.BeginAsync(lockTimeout: TimeSpan.Zero, cancellationToken);
            await foreach (var piece in transaction.ReadPiecesAsync(cancellationToken))
            {
                missing += await WriteAsync(piece, transaction.CommitEndLsn, first, careful, cancellationToken);
                first += piece.Count;
            }

            await session.CommitAsync(batch.Position, transaction.CommitTime, epoch, cancellationToken);
            return missing;
        }
        catch (RefusedException)
        {
            await session.RollbackAsync(cancellationToken);
            throw;
        }
    }

    async Task<long> WriteAsync(IReadOnlyList<Change> piece, Lsn commitEndLsn, long first, bool careful, CancellationToken cancellationToken)
    {
        var planner = await plan(piece, commitEndLsn, first, inOrder: false, cancellationToken);
        if (!careful)
            return await session.ApplyAsync(planner.Complete(), cancellationToken);
        long missing;
        await SendAsync($"SAVEPOINT {Savepoint}", cancellationToken);
        try
        {
            missing = await session.ApplyAsync(planner.Complete(), cancellationToken);
        }
        catch (RefusedException refused) when (refused.IsData && session.IsOpen)
        {
            await SendAsync($"ROLLBACK TO SAVEPOINT {Savepoint}", cancellationToken);
            planner = await plan(piece, commitEndLsn, first, inOrder: true, cancellationToken);
            missing = await session.ApplyAsync(planner.Complete(), cancellationToken);
        }

        await SendAsync($"RELEASE SAVEPOINT {Savepoint}", cancellationToken);
        return missing;
    }

    async Task SendAsync(string sql, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, session.Connection);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
