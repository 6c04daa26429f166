using Npgsql;
using Tributary.Postgres;

namespace Tributary.Streaming.Targets.Postgres;

/// <summary>
/// What an open transaction of the source has done so far, in an open transaction of the target. Each subtransaction begins with a savepoint and is undone by
/// going back to it, as Postgres's own parallel apply does (pa_start_subtrans and pa_stream_abort in src/backend/replication/logical/applyparallelworker.c).
/// </summary>
/// <param name="watch">A session that is asked while the first one is busy.</param>
/// <param name="ordinaryName">The application name of the sessions that write what is committed.</param>
/// <param name="saveAsync">Saves the position within the session's open transaction.</param>
internal sealed class EagerTransaction(
    NpgsqlConnection connection, NpgsqlConnection watch, string ordinaryName, uint xid, Func<TransactionBatch, CancellationToken, Task> saveAsync) : IEagerTransaction
{
    // A session remembers as many in shared memory (PGPROC_MAX_CACHED_SUBXIDS in src/include/storage/proc.h); beyond, every reader of the target pays for them.
    const int SubtransactionsMax = 64;

    // Its place is not known before the commit, and nothing that fails here is told to the user.
    readonly PieceWriter _writer = new(connection, Lsn.Zero);
    readonly List<(uint SubXid, long MissingRows)> _savepoints = [];
    NpgsqlTransaction? _transaction;
    int _subtransactions;

    public async Task<bool> WriteAsync(OpenPart part, CancellationToken cancellationToken)
    {
        _transaction ??= await connection.BeginTransactionAsync(cancellationToken);
        var savepoint = _savepoints.FindIndex(savepoint => savepoint.SubXid == part.SubXid);
        if (part.Changes is null)
        {
            // One that is not there has done nothing, or went with one that began before it.
            if (savepoint < 0)
                return true;
            await SendAsync($"ROLLBACK TO SAVEPOINT s{part.SubXid}; RELEASE SAVEPOINT s{part.SubXid}", cancellationToken);
            _writer.ForgetMissing(_savepoints[savepoint].MissingRows);
            _savepoints.RemoveRange(savepoint, _savepoints.Count - savepoint);
            return true;
        }

        if (part.SubXid != xid && savepoint < 0)
        {
            if (++_subtransactions > SubtransactionsMax)
                return false;
            await SendAsync($"SAVEPOINT s{part.SubXid}", cancellationToken);
            _savepoints.Add((part.SubXid, _writer.MissingRows));
        }

        await _writer.WriteAsync(part.Changes, careful: false, cancellationToken);
        return true;
    }

    public async Task<bool> IsInTheWayAsync(CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_stat_activity WHERE application_name = $2 AND $1 = ANY (pg_catalog.pg_blocking_pids(pid)))", watch)
        { Parameters = { new() { Value = connection.ProcessID }, new() { Value = ordinaryName } } };
        return (bool)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    public async Task<WriteOutcome> CommitAsync(TransactionBatch batch, CancellationToken cancellationToken)
    {
        await saveAsync(batch, cancellationToken);
        await _transaction!.CommitAsync(cancellationToken);
        return new WriteOutcome(_writer.MissingRows);
    }

    public async ValueTask DisposeAsync()
    {
        await watch.DisposeAsync();
        // The server undoes an open transaction whose session ends.
        await connection.DisposeAsync();
    }

    async Task SendAsync(string sql, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
