using Npgsql;
using Tributary.Postgres;
using Tributary.Streaming.Targets.Postgres.Ddl;
using Tributary.Streaming.Targets.Postgres.Descriptions;

namespace Tributary.Streaming.Targets.Postgres;

/// <summary>
/// Writes one transaction of the source in which the schema changes, in memory or on disk, as one transaction of the target: rows and commands
/// alternate in the order of the source, and the position comes last. To be used when nothing else is in flight.
/// 1. Where it is on disk, read it once before: the first rows of a table may come before the description of the command that created it
///    (CREATE TABLE AS); the command is then run when the first of them comes. In memory the description has been put before them.
/// 2. Write rows up to each command; what is known of the target's tables is forgotten after it.
/// 3. Record what was made as the stream's own, and what is missing; save the position; commit.
/// </summary>
internal sealed class SchemaTransaction(ApplySession session, StreamOptions options, long epoch, HashSet<string> rolesTold, FollowedTables? followed)
{
    // The session's settings are for statements that find single rows by an index; a command of the source's may read whole tables. It waits for
    // whoever holds a lock, as it would when a user ran it, and a function's body may name what does not exist yet.
    const string Settings =
        "SET LOCAL enable_seqscan = on; SET LOCAL enable_hashjoin = on; SET LOCAL enable_mergejoin = on; SET LOCAL enable_bitmapscan = on; " +
        "SET LOCAL plan_cache_mode = auto; SET LOCAL check_function_bodies = off; SET LOCAL client_min_messages = warning";

    readonly DdlApply _ddl = new(session.Connection, rolesTold);
    readonly DescriptionApply? _descriptions = followed is null ? null : new DescriptionApply(session.Connection, options, followed);

    // Of the session's own, since no other session sees the new schema before the commit.
    readonly TargetTables _tables = new(session.Connection);
    readonly List<SchemaReport> _reports = [];
    readonly Dictionary<uint, SchemaChange> _creations = [];
    readonly HashSet<string> _early = [];
    readonly List<Change> _rows = [];
    long _missing;
    long _commands;
    long _place;
    uint _xid;
    bool _inOrder;

    /// <exception cref="RefusedException">The target cannot take a row; it has undone all of it.</exception>
    /// <exception cref="StreamException">Kind Schema: the target cannot follow a command.</exception>
    public async Task<WriteOutcome> WriteAsync(TransactionBatch batch, CancellationToken cancellationToken)
    {
        try
        {
            return await AttemptAsync(batch, cancellationToken);
        }
        catch (RefusedException refused) when (refused.IsData && session.IsOpen)
        {
            // Either a constraint holds only in the order of the source, or the row that cannot be written will be known.
            _inOrder = true;
            return await AttemptAsync(batch, cancellationToken);
        }
    }

    async Task<WriteOutcome> AttemptAsync(TransactionBatch batch, CancellationToken cancellationToken)
    {
        var transaction = batch.Transactions[0];
        Reset();
        _xid = transaction.Xid;
        try
        {
            await session.BeginAsync(lockTimeout: TimeSpan.Zero, cancellationToken);
            await ExecuteAsync(Settings, cancellationToken);
            await CopiedObjects.BeginRecordAsync(session.Connection, cancellationToken);
            if (transaction.IsSpooled)
            {
                // Step 1.
                await FindCreationsAsync(transaction, cancellationToken);
                await foreach (var piece in transaction.ReadPiecesAsync(cancellationToken))
                    await WriteAsync(piece, transaction.CommitEndLsn, cancellationToken);
            }
            else
            {
                await WriteAsync(transaction.Changes, transaction.CommitEndLsn, cancellationToken);
            }

            // Step 3.
            await _ddl.FinishAsync(cancellationToken);
            await CopiedObjects.EndRecordAsync(session.Connection, options.Name, cancellationToken);
            await SchemaReportTable.AddAsync(session.Connection, options.Name, _reports, cancellationToken);
            await session.CommitAsync(batch.Position, transaction.CommitTime, epoch, cancellationToken);
            foreach (var shape in _descriptions?.Taken ?? [])
                followed!.Put(shape);
            return new WriteOutcome(_missing, _commands, _reports.Count > 0 ? _reports : null);
        }
        catch (Exception exception) when (exception is RefusedException or StreamException)
        {
            await session.RollbackAsync(cancellationToken);
            throw;
        }
    }

    void Reset()
    {
        _ddl.Reset();
        _descriptions?.Reset();
        _tables.Forget();
        _reports.Clear();
        _creations.Clear();
        _early.Clear();
        _rows.Clear();
        (_missing, _commands, _place) = (0, 0, 0);
    }

    async Task FindCreationsAsync(Transaction transaction, CancellationToken cancellationToken)
    {
        var seen = new HashSet<uint>();
        await foreach (var piece in transaction.ReadPiecesAsync(cancellationToken))
        {
            foreach (var change in piece)
            {
                if (change.Schema is null)
                    seen.Add(change.Table.RelationId);
                else
                    foreach (var created in change.Schema.CreatedRelations().Where(seen.Contains))
                        _creations[created] = change.Schema;
            }
        }
    }

    // Step 2.
    async Task WriteAsync(IReadOnlyList<Change> changes, Lsn position, CancellationToken cancellationToken)
    {
        foreach (var change in changes)
        {
            if (change.Schema is not { } schema)
            {
                if (_creations.Remove(change.Table.RelationId, out var creation) && _early.Add(creation.Json))
                    await ApplyAsync(creation, position, cancellationToken);
                _rows.Add(change);
            }
            else if (schema.IsDescription || !_early.Contains(schema.Json))
            {
                await ApplyAsync(schema, position, cancellationToken);
            }
        }

        // A piece's rows are valid until the next piece is read.
        await WriteRowsAsync(position, cancellationToken);
    }

    async Task ApplyAsync(SchemaChange schema, Lsn position, CancellationToken cancellationToken)
    {
        await WriteRowsAsync(position, cancellationToken);
        if (!schema.IsDescription)
        {
            await _ddl.ApplyAsync(schema, position, _place, _reports, cancellationToken);
            _commands++;
        }
        else if (await _descriptions!.ApplyAsync(schema.Described(), _xid, position, _place, _reports, cancellationToken))
        {
            _commands++;
        }

        _tables.Forget();
        _place++;
    }

    async Task WriteRowsAsync(Lsn position, CancellationToken cancellationToken)
    {
        if (_rows.Count == 0)
            return;
        await _ddl.FinishAsync(cancellationToken);
        var planner = new ApplyPlanner(_inOrder);
        await _tables.PlanAsync(planner, _rows, position, _place, cancellationToken);
        _missing += await session.ApplyAsync(planner.Complete(), cancellationToken);
        _place += _rows.Count;
        _rows.Clear();
    }

    async Task ExecuteAsync(string sql, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, session.Connection);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
