using Npgsql;
using Tributary.Postgres;

namespace Tributary.Streaming.Targets.Postgres;

/// <summary>
/// What an open transaction of the source has done so far, in an open transaction of the target. Each subtransaction begins with a savepoint and is undone by
/// going back to it, as Postgres's own parallel apply does (pa_start_subtrans and pa_stream_abort in src/backend/replication/logical/applyparallelworker.c).
/// </summary>
/// <param name="watch">A session that is asked while the first one is busy.</param>
internal sealed class EagerTransaction(
    ApplySession session, NpgsqlConnection watch, uint xid, PlanPiece plan, long epoch, StreamOptions options) : IEagerTransaction
{
    // A session remembers as many in shared memory (PGPROC_MAX_CACHED_SUBXIDS in src/include/storage/proc.h); beyond, every reader of the target pays for them.
    const int SubtransactionsMax = 64;

    readonly List<(uint SubXid, long MissingRows)> _savepoints = [];
    bool _hasBegun;
    int _subtransactions;
    long _missingRows;
    long _changes;

    public async Task<bool> WriteAsync(OpenPart part, CancellationToken cancellationToken)
    {
        try
        {
            if (!_hasBegun)
                await session.BeginAsync(options.OpenTransactionLockWait, cancellationToken);
            _hasBegun = true;
            var savepoint = _savepoints.FindIndex(savepoint => savepoint.SubXid == part.SubXid);
            if (part.Changes is null)
            {
                // One that is not there has done nothing, or went with one that began before it.
                if (savepoint >= 0)
                    await UndoAsync(savepoint, cancellationToken);
                return true;
            }

            if (part.SubXid != xid && savepoint < 0)
            {
                if (++_subtransactions > SubtransactionsMax)
                    return false;
                await SendAsync($"SAVEPOINT s{part.SubXid}", cancellationToken);
                _savepoints.Add((part.SubXid, _missingRows));
            }

            // A command's locks would last until the source commits, and its rows may come before its description.
            if (part.Changes.Any(static change => change.Schema is { IsRepeated: false }))
                return false;

            // Its place is not known before the commit, and nothing that fails here is told as the stream's failure.
            var planner = await plan(part.Changes, Lsn.Zero, _changes, inOrder: false, cancellationToken);
            _missingRows += await session.ApplyAsync(planner.Complete(), cancellationToken);
            _changes += part.Changes.Count;
            return true;
        }
        catch (RefusedException refused)
        {
            throw refused.ToFailure(options.Name);
        }
    }

    public async Task<bool> IsInTheWayAsync(CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_stat_activity WHERE application_name = $2 AND $1 = ANY (pg_catalog.pg_blocking_pids(pid)))", watch)
        { Parameters = { new() { Value = session.Connection.ProcessID }, new() { Value = TargetSessions.LaneName(options) } } };
        return (bool)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    public async Task<WriteOutcome> CommitAsync(TransactionBatch batch, CancellationToken cancellationToken)
    {
        try
        {
            await session.CommitAsync(batch.Position, batch.Transactions[0].CommitTime, epoch, cancellationToken);
            return new WriteOutcome(_missingRows);
        }
        catch (RefusedException refused)
        {
            throw refused.ToFailure(options.Name);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await watch.DisposeAsync();
        // The server undoes an open transaction whose session ends.
        await session.DisposeAsync();
    }

    async Task UndoAsync(int savepoint, CancellationToken cancellationToken)
    {
        var (subXid, missingRows) = _savepoints[savepoint];
        await SendAsync($"ROLLBACK TO SAVEPOINT s{subXid}; RELEASE SAVEPOINT s{subXid}", cancellationToken);
        _missingRows = missingRows;
        _savepoints.RemoveRange(savepoint, _savepoints.Count - savepoint);
    }

    async Task SendAsync(string sql, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, session.Connection);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
