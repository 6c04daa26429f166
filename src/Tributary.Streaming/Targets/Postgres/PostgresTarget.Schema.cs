using Npgsql;
using Tributary.Streaming.Targets.Postgres.Ddl;

namespace Tributary.Streaming.Targets.Postgres;

/// <summary>
/// A batch in which the schema changes: one transaction, in which rows and commands alternate in the order of the source. What the target knew
/// of its tables is forgotten after each command.
/// </summary>
internal sealed partial class PostgresTarget
{
    readonly List<SchemaReport> _reports = [];
    DdlApply? _ddl;

    async Task<WriteOutcome> WriteSchemaAsync(TransactionBatch batch, CancellationToken cancellationToken)
    {
        try
        {
            return await WriteSchemaAsync(batch, inOrder: false, cancellationToken);
        }
        catch (PostgresException exception) when (IsData(exception) && exception.BatchCommand?.CommandText != ProgressTable.SaveSql)
        {
            _tables.Clear();
            _sql.Clear();
            return await WriteSchemaAsync(batch, inOrder: true, cancellationToken);
        }
    }

    Task<LargeSchema> LargeSchemaAsync(Transaction transaction, CancellationToken cancellationToken)
    {
        _tables.Clear();
        _sql.Clear();
        return new LargeSchema(Connection, options.Name, _ddl ??= new DdlApply(Connection), transaction).PrepareAsync(cancellationToken);
    }

    async Task<WriteOutcome> WriteSchemaAsync(TransactionBatch batch, bool inOrder, CancellationToken cancellationToken)
    {
        _ddl ??= new DdlApply(Connection);
        _reports.Clear();
        _ddl.Reset();
        var missing = 0L;
        var commands = 0L;
        await using var transaction = await Connection.BeginTransactionAsync(cancellationToken);
        await CopiedObjects.BeginRecordAsync(Connection, cancellationToken);
        foreach (var source in batch.Transactions)
        {
            var rows = new List<LocatedChange>();
            for (var i = 0; i < source.Changes.Count; i++)
            {
                if (source.Changes[i].Schema is not { } change)
                {
                    rows.Add(new LocatedChange(source.Changes[i], source.CommitEndLsn, i));
                    continue;
                }

                missing += await WriteRowsAsync(rows, inOrder, cancellationToken);
                rows.Clear();
                await _ddl.ApplyAsync(change, source.CommitEndLsn, i, _reports, cancellationToken);
                commands++;
                _tables.Clear();
                _sql.Clear();
            }

            missing += await WriteRowsAsync(rows, inOrder, cancellationToken);
        }

        await _ddl.FinishAsync(cancellationToken);
        await CopiedObjects.EndRecordAsync(Connection, options.Name, cancellationToken);
        await SchemaReportTable.AddAsync(Connection, options.Name, _reports, cancellationToken);
        await WriteAsync(batch, [], inOrder: true, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return new WriteOutcome(missing, commands, _reports.Count > 0 ? [.. _reports] : null);
    }

    async Task<long> WriteRowsAsync(List<LocatedChange> rows, bool inOrder, CancellationToken cancellationToken)
    {
        if (rows.Count == 0)
            return 0;
        await _ddl!.FinishAsync(cancellationToken);
        var planner = new ApplyPlanner(inOrder);
        foreach (var located in rows)
            await PlanAsync(planner, located, cancellationToken);
        await using var commands = new NpgsqlBatch(Connection);
        foreach (var run in planner.Runs)
            commands.BatchCommands.Add(ApplyStatements.Build(run, SqlOf(run)));
        return (await ExecuteAsync(commands, planner.Runs, inOrder, cancellationToken)).MissingRows;
    }
}
