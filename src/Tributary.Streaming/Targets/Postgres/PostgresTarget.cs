using Microsoft.Extensions.Logging;
using Npgsql;
using Tributary.Postgres;

namespace Tributary.Streaming.Targets.Postgres;

/// <summary>
/// Writes into a Postgres database, exactly once: a batch and its position are one transaction, sent in one round trip.
/// Its session is a replica's: triggers and foreign keys do not fire a second time for what the source has already done.
/// </summary>
internal sealed partial class PostgresTarget(StreamOptions options, TimeProvider time, ILogger logger) : ITarget
{
    // One statement a run of one shape; far more shapes than tables times kinds do not occur together.
    const int PreparedMax = 256;

    readonly Dictionary<uint, TargetTable> _tables = [];
    readonly Dictionary<RunShape, string> _sql = [];
    NpgsqlConnection? _connection;
    SourceIdentity? _source;
    long _epoch;
    bool _hasOrigin;

    NpgsqlConnection Connection => _connection ?? throw new InvalidOperationException("The target is not open.");

    public async Task<Checkpoint?> OpenAsync(CancellationToken cancellationToken)
    {
        _connection = await OpenSessionAsync(cancellationToken);
        await LockAsync(cancellationToken);
        _hasOrigin = await TrySetOriginAsync(_connection, ProgressTable.OriginName(options.Name), cancellationToken);
        if (_connection.State != System.Data.ConnectionState.Open)
        {
            // The driver closes a connection on which the server was short of something, as it is when all origins are taken.
            await _connection.DisposeAsync();
            _connection = await OpenSessionAsync(cancellationToken);
            await LockAsync(cancellationToken);
        }

        await ProgressTable.CreateAsync(Connection, cancellationToken);
        var checkpoint = await ProgressTable.TakeOverAsync(Connection, options.Name, cancellationToken);
        _epoch = checkpoint?.Epoch ?? 1;
        return checkpoint;
    }

    public async Task<Checkpoint> BeginCopyAsync(SourceIdentity source, CancellationToken cancellationToken)
    {
        var copying = await ProgressTable.SetAsync(
            Connection, options.Name, new Checkpoint(CheckpointState.Copying, source.SystemIdentifier, options.SlotName, Lsn.Zero, _epoch), cancellationToken);
        await CopiedObjects.DropAsync(Connection, options.Name, cancellationToken);
        _source = source;
        return copying;
    }

    public async Task<Checkpoint> CompleteCopyAsync(Lsn position, CancellationToken cancellationToken) =>
        await ProgressTable.SetAsync(
            Connection, options.Name,
            new Checkpoint(CheckpointState.Streaming, _source!.SystemIdentifier, options.SlotName, position, _epoch), cancellationToken);

    public async Task<WriteOutcome> WriteAsync(TransactionBatch batch, CancellationToken cancellationToken)
    {
        if (batch.Transactions is [{ IsSpooled: true }])
            return await new LargeTransaction(Connection, (saved, token) => SavePositionAsync(Connection, saved, token), LargeSchemaAsync).WriteAsync(batch, cancellationToken);
        if (batch.Transactions.Any(transaction => transaction.HasSchemaChanges))
            return await WriteSchemaAsync(batch, cancellationToken);
        try
        {
            return await WriteAsync(batch, await PlanAsync(batch, inOrder: false, cancellationToken), inOrder: false, cancellationToken);
        }
        catch (PostgresException exception) when (IsData(exception) && exception.BatchCommand?.CommandText != ProgressTable.SaveSql)
        {
            // In the source's order, a statement a change: either the constraint holds then, or the row that cannot be written is known.
            var plan = await PlanAsync(batch, inOrder: true, cancellationToken);
            return await WriteAsync(batch, plan, inOrder: true, cancellationToken);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_connection is not null)
            await _connection.DisposeAsync();
    }

    async Task<NpgsqlConnection> OpenSessionAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await SessionSettings.OpenAsync(ConnectionString(), cancellationToken);
        }
        catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.InsufficientPrivilege)
        {
            throw new StreamException(
                StreamErrorKind.Configuration,
                $"The target's role {options.Target.User} may not set session_replication_role. Use a superuser, or from Postgres 15 on: " +
                $"GRANT SET ON PARAMETER session_replication_role TO {SqlQuoting.Identifier(options.Target.User)};");
        }
    }

    string ConnectionString()
    {
        var builder = new NpgsqlConnectionStringBuilder(SessionSettings.ConnectionString(
            options.Target, $"tributary {options.Name}",
            // Each statement is planned for the size of its arrays; a plan for "some" rows could scan a table once a row.
            $"-c session_replication_role=replica -c check_function_bodies=off -c plan_cache_mode=force_custom_plan -c synchronous_commit={(options.SynchronousCommit ? "on" : "off")}"))
        {
            MaxAutoPrepare = PreparedMax,
            AutoPrepareMinUsages = 2,
            IncludeFailedBatchedCommand = true, // An error then says which run it belongs to.
        };
        return builder.ConnectionString;
    }

    // The server ends the session of a killed instance within moments; until then its lock looks like a second instance.
    async Task LockAsync(CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        while (!await ProgressTable.TryLockAsync(Connection, options.Name, cancellationToken))
        {
            if (time.GetElapsedTime(started) >= options.FenceWait)
                throw ProgressTable.Fenced(options.Name);
            await Task.Delay(TimeSpan.FromMilliseconds(50), time, cancellationToken);
        }
    }

    // Marks what is written here as not born here, so that a stream in the other direction can leave it out. Only superusers may by default.
    async Task<bool> TrySetOriginAsync(NpgsqlConnection connection, string origin, CancellationToken cancellationToken)
    {
        try
        {
            await using var command = new NpgsqlCommand(
                """
                SELECT CASE WHEN pg_catalog.pg_replication_origin_oid($1) IS NULL THEN pg_catalog.pg_replication_origin_create($1) END
                """, connection)
            { Parameters = { new() { Value = origin } } };
            await command.ExecuteNonQueryAsync(cancellationToken);
            command.CommandText = "SELECT pg_catalog.pg_replication_origin_session_setup($1)";
            await command.ExecuteNonQueryAsync(cancellationToken);
            return true;
        }
        catch (PostgresException exception) when (exception.SqlState is PostgresErrorCodes.InsufficientPrivilege or PostgresErrorCodes.ConfigurationLimitExceeded or PostgresErrorCodes.ObjectNotInPrerequisiteState)
        {
            Log.NoOrigin(logger, options.Name, LostLink.Describe(exception));
            return false;
        }
    }

    async Task<IReadOnlyList<ApplyRun>> PlanAsync(TransactionBatch batch, bool inOrder, CancellationToken cancellationToken)
    {
        var planner = new ApplyPlanner(inOrder);
        foreach (var transaction in batch.Transactions)
        {
            for (var i = 0; i < transaction.Changes.Count; i++)
                await PlanAsync(planner, new LocatedChange(transaction.Changes[i], transaction.CommitEndLsn, i), cancellationToken);
        }

        return planner.Runs;
    }

    async ValueTask PlanAsync(ApplyPlanner planner, LocatedChange located, CancellationToken cancellationToken)
    {
        var table = await TableAsync(located.Change.Table, located, cancellationToken);
        if (located.Change.Truncation is not { } truncation)
        {
            planner.Add(table, located);
            return;
        }

        var tables = new List<TargetTable>();
        foreach (var emptied in truncation.Tables)
            tables.Add(await TableAsync(emptied, located, cancellationToken));
        planner.AddTruncation(table, tables, located);
    }

    async ValueTask<TargetTable> TableAsync(TableSchema schema, LocatedChange located, CancellationToken cancellationToken)
    {
        if (_tables.TryGetValue(schema.RelationId, out var known) && known.Schema == schema)
            return known;
        try
        {
            if (known is not null)
                _sql.Clear();
            return _tables[schema.RelationId] = await TargetTable.LoadAsync(Connection, schema, cancellationToken);
        }
        catch (StreamException exception)
        {
            throw new StreamException(exception.Kind, $"{exception.Message} Position: {Place(located)}.");
        }
    }

    async Task<WriteOutcome> WriteAsync(TransactionBatch batch, IReadOnlyList<ApplyRun> runs, bool inOrder, CancellationToken cancellationToken)
    {
        // Without an explicit transaction the commands of a batch up to its one Sync message are a transaction, in a single round trip
        // (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-PIPELINING).
        await using var commands = new NpgsqlBatch(Connection);
        foreach (var run in runs)
            commands.BatchCommands.Add(ApplyStatements.Build(run, SqlOf(run)));
        AddPosition(commands, batch);
        return await ExecuteAsync(commands, runs, inOrder, cancellationToken);
    }

    /// <param name="commands">One for each run, and others behind them.</param>
    async Task<WriteOutcome> ExecuteAsync(NpgsqlBatch commands, IReadOnlyList<ApplyRun> runs, bool inOrder, CancellationToken cancellationToken)
    {
        try
        {
            await commands.ExecuteNonQueryAsync(cancellationToken);
        }
        catch (PostgresException exception) when (exception.BatchCommand is { } failed && !LostLink.Is(exception))
        {
            if (Locate(exception, runs, commands.BatchCommands.IndexOf(failed), inOrder) is { } located)
                throw located;
            throw;
        }

        var missing = 0L;
        for (var i = 0; i < runs.Count; i++)
        {
            if (runs[i].Shape.Kind is not (RunKind.Insert or RunKind.Truncate))
                missing += runs[i].Changes.Count - commands.BatchCommands[i].RecordsAffected;
        }

        return new WriteOutcome(missing);
    }

    async Task SavePositionAsync(NpgsqlConnection connection, TransactionBatch batch, CancellationToken cancellationToken)
    {
        await using var commands = new NpgsqlBatch(connection);
        AddPosition(commands, batch);
        try
        {
            await commands.ExecuteNonQueryAsync(cancellationToken);
        }
        catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.DivisionByZero)
        {
            throw ProgressTable.Fenced(options.Name);
        }
    }

    void AddPosition(NpgsqlBatch commands, TransactionBatch batch)
    {
        commands.BatchCommands.Add(new NpgsqlBatchCommand(ProgressTable.SaveSql)
        {
            Parameters =
            {
                new NpgsqlParameter<string> { TypedValue = batch.Position.ToString() },
                new NpgsqlParameter<string> { TypedValue = options.Name },
                new NpgsqlParameter<long> { TypedValue = _epoch },
            },
        });
        if (_hasOrigin)
            commands.BatchCommands.Add(OriginCommand(batch));
    }

    // A session with an origin that is told no time stamps every commit with the time of its first one (RecordTransactionCommit in
    // src/backend/access/transam/xact.c), and whoever decodes the target would take that for the commit's.
    NpgsqlBatchCommand OriginCommand(TransactionBatch batch) => new("SELECT pg_catalog.pg_replication_origin_xact_setup($1::text::pg_lsn, $2)")
    {
        Parameters =
        {
            new NpgsqlParameter<string> { TypedValue = batch.Position.ToString() },
            new NpgsqlParameter<DateTimeOffset> { TypedValue = batch.Transactions.Count > 0 ? batch.Transactions[^1].CommitTime : time.GetUtcNow() },
        },
    };

    string SqlOf(ApplyRun run)
    {
        if (run.Shape.Kind == RunKind.Truncate)
            return ApplyStatements.Sql(run);
        if (!_sql.TryGetValue(run.Shape, out var sql))
            _sql.Add(run.Shape, sql = ApplyStatements.Sql(run));
        return sql;
    }

    // Null lets the caller plan the batch again in the source's order.
    StreamException? Locate(PostgresException exception, IReadOnlyList<ApplyRun> runs, int command, bool inOrder)
    {
        if (command >= runs.Count || command < 0)
            return exception.SqlState == PostgresErrorCodes.DivisionByZero ? ProgressTable.Fenced(options.Name) : null;
        var run = runs[command];
        if (IsData(exception) && !inOrder)
            return null;
        // The server's message may repeat a value, so only its code and the objects that it names are passed on.
        var column = exception.ColumnName is { } name ? $", column {SqlQuoting.Identifier(name)}" : "";
        var constraint = exception.ConstraintName is { } rule ? $", constraint {SqlQuoting.Identifier(rule)}" : "";
        return new StreamException(
            IsData(exception) ? StreamErrorKind.Data : StreamErrorKind.Target,
            $"The target refuses {Describe(run.Shape.Kind)} table {run.Shape.Table.Name}{column}{constraint} with SQLSTATE {exception.SqlState} " +
            $"(https://www.postgresql.org/docs/current/errcodes-appendix.html). Position: {Place(run.Changes[0])}. " +
            "Mend the target, then start the stream again; it goes on where it stopped.");
    }

    static bool IsData(PostgresException exception) =>
        exception.SqlState.StartsWith("22", StringComparison.Ordinal) || exception.SqlState.StartsWith("23", StringComparison.Ordinal);

    static string Describe(RunKind kind) => kind switch
    {
        RunKind.Insert => "an insert into",
        RunKind.Delete or RunKind.DeleteWhole => "a delete from",
        RunKind.Truncate => "a truncation of",
        _ => "an update of",
    };

    static string Place(LocatedChange located) => $"transaction that ends at {located.CommitEndLsn}, change {located.Sequence + 1}";
}
