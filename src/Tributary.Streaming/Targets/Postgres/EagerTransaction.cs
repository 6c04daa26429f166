using Npgsql;
using Tributary.Postgres;

namespace Tributary.Streaming.Targets.Postgres;

/// <summary>
/// What an open transaction of the source has done so far, in an open transaction of the target. Each subtransaction begins with a savepoint and is undone by
/// going back to it, as Postgres's own parallel apply does (pa_start_subtrans and pa_stream_abort in src/backend/replication/logical/applyparallelworker.c).
/// </summary>
/// <param name="watch">A session that is asked while the first one is busy.</param>
internal sealed class EagerTransaction(
    ApplySession session, NpgsqlConnection watch, string pipeline, uint xid, long epoch) : IEagerTransaction
{
    // A session remembers as many in shared memory (PGPROC_MAX_CACHED_SUBXIDS in src/include/storage/proc.h); beyond, every reader of the target pays for them.
    const int SubtransactionsMax = 64;

    // Its place is not known before the commit, and nothing that fails here is told to the user.
    readonly PieceWriter _writer = new(session, Lsn.Zero);
    readonly List<(uint SubXid, long MissingRows)> _savepoints = [];
    bool _begun;
    int _subtransactions;

    public async Task<bool> WriteAsync(OpenPart part, CancellationToken cancellationToken)
    {
        try
        {
            return await WritePartAsync(part, cancellationToken);
        }
        catch (RefusedException refused)
        {
            throw refused.ToFailure(pipeline);
        }
    }

    public async Task<bool> IsInTheWayAsync(CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_stat_activity WHERE application_name = $2 AND $1 = ANY (pg_catalog.pg_blocking_pids(pid)))", watch)
        { Parameters = { new() { Value = session.Connection.ProcessID }, new() { Value = $"tributary {pipeline}" } } };
        return (bool)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    public async Task<WriteOutcome> CommitAsync(TransactionBatch batch, CancellationToken cancellationToken)
    {
        try
        {
            await session.CommitAsync(batch.Position, batch.Transactions[0].CommitTime, epoch, cancellationToken);
            return new WriteOutcome(_writer.MissingRows);
        }
        catch (RefusedException refused)
        {
            throw refused.ToFailure(pipeline);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await watch.DisposeAsync();
        // The server undoes an open transaction whose session ends.
        await session.DisposeAsync();
    }

    async Task<bool> WritePartAsync(OpenPart part, CancellationToken cancellationToken)
    {
        if (!_begun)
            await session.BeginAsync(lockTimeout: null, cancellationToken);
        _begun = true;
        var savepoint = _savepoints.FindIndex(savepoint => savepoint.SubXid == part.SubXid);
        if (part.Changes is null)
        {
            // One that is not there has done nothing, or went with one that began before it.
            if (savepoint < 0)
                return true;
            await session.ExecuteAsync(cancellationToken, $"ROLLBACK TO SAVEPOINT s{part.SubXid}", $"RELEASE SAVEPOINT s{part.SubXid}");
            _writer.ForgetMissing(_savepoints[savepoint].MissingRows);
            _savepoints.RemoveRange(savepoint, _savepoints.Count - savepoint);
            return true;
        }

        if (part.SubXid != xid && savepoint < 0)
        {
            if (++_subtransactions > SubtransactionsMax)
                return false;
            await session.ExecuteAsync(cancellationToken, $"SAVEPOINT s{part.SubXid}");
            _savepoints.Add((part.SubXid, _writer.MissingRows));
        }

        await _writer.WriteAsync(part.Changes, careful: false, cancellationToken);
        return true;
    }
}
