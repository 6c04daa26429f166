using Npgsql;
using Tributary.Postgres;

namespace Tributary.Streaming.Targets.Postgres;

/// <summary>
/// Writes pieces of a large transaction into the open transaction of a session: long runs of inserts by COPY, the rest by the statements of a batch.
/// </summary>
internal sealed class PieceWriter(NpgsqlConnection connection, Lsn position)
{
    // Below it a COPY's two round trips cost more than the statement's arrays.
    const int CopyRowsMin = 100;

    const string Savepoint = "tributary_piece";

    readonly Dictionary<uint, TargetTable> _tables = [];
    readonly Dictionary<RunShape, string> _sql = [];
    readonly CopyText _copy = new();
    long _sequence;

    /// <summary>Updates and deletes that found no row.</summary>
    public long MissingRows { get; private set; }

    /// <summary>What was written since is undone, and with it what it missed.</summary>
    public void ForgetMissing(long missingRowsBefore) => MissingRows = missingRowsBefore;

    /// <param name="careful">
    /// Each stretch of statements may be undone by itself, and is then written again in the order of the source: for a transaction that failed without.
    /// A savepoint a stretch is what the first attempt saves.
    /// </param>
    /// <exception cref="PostgresException">The target refuses a row, and <paramref name="careful"/> is false.</exception>
    /// <exception cref="StreamException">The target refuses a row, or a table's shape differs.</exception>
    public async Task WriteAsync(IReadOnlyList<Change> changes, bool careful, CancellationToken cancellationToken)
    {
        for (var first = 0; first < changes.Count;)
        {
            var end = EndOfInserts(changes, first);
            if (end - first >= CopyRowsMin && await CopyableAsync(changes[first], cancellationToken) is { } table)
            {
                await GuardAsync(table, "an insert into", careful, () => _copy.WriteAsync(connection, table, changes, first, end, cancellationToken));
            }
            else
            {
                // Up to where the next long run of inserts begins.
                while (end < changes.Count && EndOfInserts(changes, end) is var next && next - end < CopyRowsMin)
                    end = Math.Max(next, end + 1);
                await WriteStatementsAsync(changes, first, end, careful, cancellationToken);
            }

            _sequence += end - first;
            first = end;
        }
    }

    static int EndOfInserts(IReadOnlyList<Change> changes, int first)
    {
        var end = first;
        while (end < changes.Count && changes[end].Kind == ChangeKind.Insert && changes[end].Table == changes[first].Table)
            end++;
        return end;
    }

    // COPY knows no row without columns.
    async ValueTask<TargetTable?> CopyableAsync(Change change, CancellationToken cancellationToken)
    {
        var table = await TableAsync(change.Table, cancellationToken);
        return table.Columns.Any(static column => !column.IsGenerated) ? table : null;
    }

    async Task WriteStatementsAsync(IReadOnlyList<Change> changes, int first, int end, bool careful, CancellationToken cancellationToken)
    {
        if (!careful)
        {
            await ExecuteAsync(await PlanAsync(changes, first, end, inOrder: false, cancellationToken), cancellationToken);
            return;
        }

        await SendAsync($"SAVEPOINT {Savepoint}", cancellationToken);
        try
        {
            await ExecuteAsync(await PlanAsync(changes, first, end, inOrder: false, cancellationToken), cancellationToken);
        }
        catch (PostgresException exception) when (IsData(exception))
        {
            await SendAsync($"ROLLBACK TO SAVEPOINT {Savepoint}", cancellationToken);
            foreach (var run in await PlanAsync(changes, first, end, inOrder: true, cancellationToken))
                await GuardAsync(run.Shape.Table, Describe(run.Shape.Kind), careful, () => ExecuteAsync([run], cancellationToken));
        }

        await SendAsync($"RELEASE SAVEPOINT {Savepoint}", cancellationToken);
    }

    async Task<IReadOnlyList<ApplyRun>> PlanAsync(IReadOnlyList<Change> changes, int first, int end, bool inOrder, CancellationToken cancellationToken)
    {
        var planner = new ApplyPlanner(inOrder);
        for (var i = first; i < end; i++)
        {
            var change = changes[i];
            var located = new LocatedChange(change, position, (int)Math.Min(int.MaxValue, _sequence + i - first));
            if (change.Schema is { } schema)
                throw new StreamException(StreamErrorKind.Schema, $"{schema.Tag} within a large transaction is not run ahead of its commit. Position: transaction that ends at {position}.");
            var table = await TableAsync(change.Table, cancellationToken);
            if (change.Truncation is not { } truncation)
            {
                planner.Add(table, located);
                continue;
            }

            var tables = new List<TargetTable>();
            foreach (var emptied in truncation.Tables)
                tables.Add(await TableAsync(emptied, cancellationToken));
            planner.AddTruncation(table, tables, located);
        }

        return planner.Runs;
    }

    async Task ExecuteAsync(IReadOnlyList<ApplyRun> runs, CancellationToken cancellationToken)
    {
        if (runs.Count == 0)
            return;
        await using var commands = new NpgsqlBatch(connection);
        foreach (var run in runs)
            commands.BatchCommands.Add(ApplyStatements.Build(run, SqlOf(run)));
        await commands.ExecuteNonQueryAsync(cancellationToken);
        for (var i = 0; i < runs.Count; i++)
        {
            if (runs[i].Shape.Kind is not (RunKind.Insert or RunKind.Truncate))
                MissingRows += runs[i].Changes.Count - commands.BatchCommands[i].RecordsAffected;
        }
    }

    string SqlOf(ApplyRun run)
    {
        if (run.Shape.Kind == RunKind.Truncate)
            return ApplyStatements.Sql(run);
        if (!_sql.TryGetValue(run.Shape, out var sql))
            _sql.Add(run.Shape, sql = ApplyStatements.Sql(run));
        return sql;
    }

    /// <summary>Forgets what is known of the target's tables, after a change of the schema.</summary>
    public void Forget()
    {
        _tables.Clear();
        _sql.Clear();
    }

    async ValueTask<TargetTable> TableAsync(TableSchema schema, CancellationToken cancellationToken)
    {
        if (_tables.TryGetValue(schema.RelationId, out var known) && known.Schema == schema)
            return known;
        _sql.Clear();
        return _tables[schema.RelationId] = await TargetTable.LoadAsync(connection, schema, cancellationToken);
    }

    async Task SendAsync(string sql, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    // The server's message may repeat a value, so only its code and the objects that it names are passed on.
    async Task GuardAsync(TargetTable table, string what, bool careful, Func<Task> write)
    {
        try
        {
            await write();
        }
        catch (PostgresException exception) when (careful && !LostLink.Is(exception))
        {
            var column = exception.ColumnName is { } name ? $", column {SqlQuoting.Identifier(name)}" : "";
            var constraint = exception.ConstraintName is { } rule ? $", constraint {SqlQuoting.Identifier(rule)}" : "";
            throw new StreamException(
                IsData(exception) ? StreamErrorKind.Data : StreamErrorKind.Target,
                $"The target refuses {what} table {table.Name}{column}{constraint} with SQLSTATE {exception.SqlState} " +
                $"(https://www.postgresql.org/docs/current/errcodes-appendix.html). Position: transaction that ends at {position}, from change {_sequence + 1} on. " +
                "Mend the target, then start the stream again; it goes on where it stopped.");
        }
    }

    public static bool IsData(PostgresException exception) =>
        exception.SqlState.StartsWith("22", StringComparison.Ordinal) || exception.SqlState.StartsWith("23", StringComparison.Ordinal);

    static string Describe(RunKind kind) => kind switch
    {
        RunKind.Insert => "an insert into",
        RunKind.Delete or RunKind.DeleteWhole => "a delete from",
        RunKind.Truncate => "a truncation of",
        _ => "an update of",
    };
}
