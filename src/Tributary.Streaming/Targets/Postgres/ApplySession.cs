using Npgsql;
using Tributary.Postgres;

namespace Tributary.Streaming.Targets.Postgres;

/// <summary>
/// One connection that applies changes. A transaction is either one call of <see cref="WriteAsync"/>, in a single round trip where no COPY is
/// worth its own, or <see cref="BeginAsync"/>, any number of <see cref="ApplyAsync"/>, and <see cref="CommitAsync"/>, which saves the position last,
/// so that the progress row is locked for a moment only.
/// Threading: one call at a time. After an error inside a transaction only <see cref="RollbackAsync"/> and disposal are allowed.
/// </summary>
internal sealed class ApplySession(NpgsqlConnection connection, StreamOptions options, bool hasOrigin) : IAsyncDisposable
{
    // Far below the largest parameter that Postgres takes (1 GB), and enough that the command itself does not matter.
    const long CommandBytesMax = 16L << 20;

    readonly ApplyCommands _commands = new(CommandBytesMax);
    readonly List<(ApplyRun Run, int FirstRow, int Rows)> _sent = [];
    NpgsqlBatch? _batch;

    public NpgsqlConnection Connection => connection;

    public bool HasOrigin => hasOrigin;

    /// <summary>Whether the connection still serves: the driver closes one on which the server was short of something.</summary>
    public bool IsOpen => SessionSettings.IsOpen(connection);

    /// <summary>Begins a transaction; what it waits for is sent with the first changes.</summary>
    /// <param name="lockTimeout">How long one statement waits for a row that another session holds; null for the session's own setting.</param>
    public Task BeginAsync(TimeSpan? lockTimeout, CancellationToken cancellationToken)
    {
        Add("BEGIN");
        if (lockTimeout is { } bound)
            Add($"SET LOCAL lock_timeout = {(long)bound.TotalMilliseconds}");
        return lockTimeout is null ? Task.CompletedTask : SendAsync(cancellationToken);
    }

    /// <summary>Applies runs in the open transaction and leaves it open; answers how many updates and deletes found no row.</summary>
    /// <exception cref="RefusedException">A statement failed. The transaction is aborted.</exception>
    public async Task<long> ApplyAsync(IReadOnlyList<ApplyRun> runs, CancellationToken cancellationToken)
    {
        var missing = 0L;
        foreach (var run in runs)
        {
            if (run.Shape.Kind != RunKind.Truncate && CopyRun.Format(run, _commands.Written(run.Shape), options.CopyRowsMin) is { } format)
            {
                missing += await SendAsync(cancellationToken);
                await CopyAsync(run, format, cancellationToken);
                continue;
            }

            Add(run);
        }

        return missing + await SendAsync(cancellationToken);
    }

    /// <summary>Saves the position and commits, in one round trip. After the answer both are durable as far as the session's settings say.</summary>
    public async Task CommitAsync(Lsn position, DateTimeOffset commitTime, long epoch, CancellationToken cancellationToken)
    {
        AddProgress(position, commitTime, epoch);
        Add("COMMIT");
        await SendAsync(cancellationToken);
    }

    /// <summary>A whole transaction: runs, position, commit.</summary>
    public async Task<long> WriteAsync(
        IReadOnlyList<ApplyRun> runs, Lsn position, DateTimeOffset commitTime, long epoch, CancellationToken cancellationToken)
    {
        if (runs.Any(run => run.Shape.Kind == RunKind.Insert && run.Rows.Count >= options.CopyRowsMin && run.Shape.Table.MayCopy))
        {
            await BeginAsync(lockTimeout: null, cancellationToken);
            var missing = await ApplyAsync(runs, cancellationToken);
            await CommitAsync(position, commitTime, epoch, cancellationToken);
            return missing;
        }

        // Without an explicit transaction the commands of a batch up to its one Sync message are a transaction, in a single round trip
        // (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-PIPELINING).
        foreach (var run in runs)
            Add(run);
        AddProgress(position, commitTime, epoch);
        return await SendAsync(cancellationToken);
    }

    /// <summary>Undoes the open transaction, if there is one and the connection still serves.</summary>
    public async Task RollbackAsync(CancellationToken cancellationToken)
    {
        Discard();
        if (!IsOpen)
            return;
        Add("ROLLBACK");
        await SendAsync(cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        Discard();
        await connection.DisposeAsync();
    }

    void Add(ApplyRun run)
    {
        foreach (var (command, first, rows) in _commands.Build(run))
            Add(command, run, first, rows);
    }

    void Add(string sql) => Add(new NpgsqlBatchCommand(sql), null, 0, 0);

    void Add(NpgsqlBatchCommand command, ApplyRun? run, int first, int rows)
    {
        _batch ??= new NpgsqlBatch(connection);
        _batch.BatchCommands.Add(command);
        _sent.Add((run!, first, rows));
    }

    void AddProgress(Lsn position, DateTimeOffset commitTime, long epoch)
    {
        Add(ProgressTable.Save(options.Name, position, epoch), null, 0, 0);
        if (hasOrigin)
            Add(ReplicationOrigin.Stamp(position, commitTime), null, 0, 0);
    }

    async Task CopyAsync(ApplyRun run, ValueKind format, CancellationToken cancellationToken)
    {
        try
        {
            await CopyRun.WriteAsync(connection, run, _commands.Written(run.Shape), format, cancellationToken);
        }
        catch (PostgresException exception)
        {
            throw new RefusedException(exception, run, 0);
        }
    }

    // Sends what was added; answers how many of its updates and deletes found no row.
    async Task<long> SendAsync(CancellationToken cancellationToken)
    {
        if (_batch is not { } batch)
            return 0;
        try
        {
            await batch.ExecuteNonQueryAsync(cancellationToken);
            var missing = 0L;
            for (var i = 0; i < _sent.Count; i++)
            {
                if (_sent[i].Run is { Shape.Kind: not (RunKind.Insert or RunKind.Truncate) })
                    missing += _sent[i].Rows - batch.BatchCommands[i].RecordsAffected;
            }

            return missing;
        }
        catch (PostgresException exception)
        {
            var place = exception.BatchCommand is { } failed ? batch.BatchCommands.IndexOf(failed) : -1;
            throw place >= 0 ? new RefusedException(exception, _sent[place].Run, _sent[place].FirstRow) : new RefusedException(exception, null, 0);
        }
        finally
        {
            Discard();
        }
    }

    void Discard()
    {
        _batch?.Dispose();
        _batch = null;
        _sent.Clear();
        _commands.Release();
    }
}
