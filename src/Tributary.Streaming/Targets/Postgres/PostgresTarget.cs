using Microsoft.Extensions.Logging;
using Npgsql;
using Tributary.Postgres;

namespace Tributary.Streaming.Targets.Postgres;

/// <summary>
/// Writes into a Postgres database, exactly once: a batch and its position are one transaction of the target.
/// Its sessions are a replica's: triggers and foreign keys do not fire a second time for what the source has already done.
/// For each batch:
/// 1. Plan: sort its changes into few statements, looking up tables that are new.
/// 2. Write its statements and its position, in one transaction.
/// 3. When a constraint is in the way, plan again in the source's order: either it holds then, or the row that cannot be written is known.
/// </summary>
internal sealed class PostgresTarget(StreamOptions options, TimeProvider time, ILogger logger) : ITarget
{
    readonly TargetSessions _sessions = new(options, time, logger);
    TargetTables? _tables;
    ApplySession? _session;
    SourceIdentity? _source;
    int _tablesVersion;
    long _epoch;

    NpgsqlConnection Control => _sessions.Control;

    ApplySession Session => _session ?? throw new InvalidOperationException("The target is not open.");

    public async Task<Checkpoint?> OpenAsync(CancellationToken cancellationToken)
    {
        await _sessions.OpenControlAsync(cancellationToken);
        await ProgressTable.CreateAsync(Control, cancellationToken);
        var checkpoint = await ProgressTable.TakeOverAsync(Control, options.Name, cancellationToken);
        _epoch = checkpoint?.Epoch ?? 1;
        _tables = new TargetTables(Control);
        _session = await _sessions.OpenLaneAsync(0, cancellationToken);
        return checkpoint;
    }

    public async Task<Checkpoint> BeginCopyAsync(SourceIdentity source, CancellationToken cancellationToken)
    {
        var copying = await ProgressTable.SetAsync(
            Control, options.Name, new Checkpoint(CheckpointState.Copying, source.SystemIdentifier, options.SlotName, Lsn.Zero, _epoch), cancellationToken);
        await CopiedObjects.DropAsync(Control, options.Name, cancellationToken);
        _source = source;
        return copying;
    }

    public async Task<Checkpoint> CompleteCopyAsync(Lsn position, CancellationToken cancellationToken) =>
        await ProgressTable.SetAsync(
            Control, options.Name,
            new Checkpoint(CheckpointState.Streaming, _source!.SystemIdentifier, options.SlotName, position, _epoch), cancellationToken);

    public async Task<WriteOutcome> WriteAsync(TransactionBatch batch, CancellationToken cancellationToken)
    {
        try
        {
            try
            {
                return await WriteAsync(batch, inOrder: false, cancellationToken);
            }
            catch (RefusedException refused) when (refused.IsData)
            {
                // Step 3.
                await Session.RollbackAsync(cancellationToken);
                return await WriteAsync(batch, inOrder: true, cancellationToken);
            }
        }
        catch (RefusedException refused)
        {
            throw refused.ToFailure(options.Name);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_session is not null)
            await _session.DisposeAsync();
        await _sessions.DisposeAsync();
    }

    async Task<WriteOutcome> WriteAsync(TransactionBatch batch, bool inOrder, CancellationToken cancellationToken)
    {
        // Step 1.
        var planner = await _tables!.PlanAsync(batch, inOrder, cancellationToken);
        if (_tablesVersion != _tables.Version)
        {
            _tablesVersion = _tables.Version;
            Session.Forget();
        }

        // Step 2.
        var commitTime = batch.Transactions.Count > 0 ? batch.Transactions[^1].CommitTime : time.GetUtcNow();
        return new WriteOutcome(await Session.WriteAsync(planner.Complete(), batch.Position, commitTime, _epoch, cancellationToken));
    }
}
