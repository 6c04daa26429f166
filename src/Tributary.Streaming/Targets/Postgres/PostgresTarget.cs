using Microsoft.Extensions.Logging;
using Npgsql;
using Tributary.Postgres;

namespace Tributary.Streaming.Targets.Postgres;

/// <summary>
/// Writes into a Postgres database, exactly once: a batch and its position are one transaction of the target.
/// Its sessions are a replica's: triggers and foreign keys do not fire a second time for what the source has already done.
/// For each batch:
/// 1. Plan: merge the changes of a row, sort the rows into few statements, look up tables that are new. Batches are planned one after the other,
///    each while the statements of those before it run.
/// 2. Find out which batch in flight touches the same rows; with none, the batch need not wait for any.
/// 3. Execute its statements on a lane of its own, and commit with the position when all before it have committed.
/// A transaction that is on disk is planned and executed piece by piece, alone, or ahead of its commit in a session beside the lanes; one in which the
/// schema changes is alone too.
/// </summary>
/// <param name="followed">Where shapes that the target has taken over are told; null where changes of the schema come from event triggers alone.</param>
internal sealed partial class PostgresTarget(StreamOptions options, TimeProvider time, ILogger logger, FollowedTables? followed = null) : ITarget
{
    readonly TargetSessions _sessions = new(options, time, logger);
    readonly SemaphoreSlim _planning = new(1);
    TargetTables? _tables;
    ApplyLanes? _lanes;
    BatchInFlight? _last;
    SourceIdentity? _source;
    long _epoch;

    /// <summary>One for each lane, and one that is planned meanwhile.</summary>
    public int BatchesInFlightMax => Lanes.Count + 1;

    public bool IsLinked => SessionSettings.IsOpen(Control) && Lanes.AreOpen;

    NpgsqlConnection Control => _sessions.Control;

    ApplyLanes Lanes => _lanes ?? throw new InvalidOperationException("The target is not open.");

    public async Task<Checkpoint?> OpenAsync(CancellationToken cancellationToken)
    {
        await _sessions.OpenControlAsync(cancellationToken);
        await ProgressTable.CreateAsync(Control, cancellationToken);
        var checkpoint = await ProgressTable.TakeOverAsync(Control, options.Name, cancellationToken);
        _epoch = checkpoint?.Epoch ?? 1;
        followed?.Load(await TableShapeRecords.ReadAllAsync(Control, options.Name, cancellationToken));
        _tables = new TargetTables(Control);
        _lanes = new ApplyLanes(await _sessions.OpenLanesAsync(cancellationToken), _epoch, options, time, (batch, token) => PlanAsync(batch, inOrder: true, token));
        return checkpoint;
    }

    public async Task<Checkpoint> BeginCopyAsync(SourceIdentity source, CancellationToken cancellationToken)
    {
        var copying = await ProgressTable.SetAsync(
            Control, options.Name, new Checkpoint(CheckpointState.Copying, source.SystemIdentifier, options.SlotName, Lsn.Zero, _epoch, source.Timeline), cancellationToken);
        await CopiedObjects.DropAsync(Control, options.Name, cancellationToken);
        _source = source;
        return copying;
    }

    public async Task<Checkpoint> CompleteCopyAsync(Lsn position, CancellationToken cancellationToken) =>
        await ProgressTable.SetAsync(
            Control, options.Name,
            new Checkpoint(CheckpointState.Streaming, _source!.SystemIdentifier, options.SlotName, position, _epoch, _source.Timeline), cancellationToken);

    public Task<Checkpoint> SaveTimelineAsync(Checkpoint checkpoint, uint timeline, CancellationToken cancellationToken) =>
        ProgressTable.SetAsync(Control, options.Name, checkpoint with { Timeline = timeline }, cancellationToken);

    public Task<WriteOutcome> WriteAsync(TransactionBatch batch, CancellationToken cancellationToken)
    {
        if (batch.Transactions is [{ IsAlone: true }])
            return WriteLargeAsync(batch, cancellationToken);
        var entry = new BatchInFlight(batch, _last);
        _last = entry;
        // On a thread of the pool, so that the caller goes on collecting the next batch while this one is planned.
        return Task.Run(() => WriteAsync(entry, cancellationToken), CancellationToken.None);
    }

    public async ValueTask DisposeAsync()
    {
        if (_lanes is not null)
            await _lanes.DisposeAsync();
        await _sessions.DisposeAsync();
        _planning.Dispose();
    }

    async Task<WriteOutcome> WriteAsync(BatchInFlight entry, CancellationToken cancellationToken)
    {
        try
        {
            // Step 1.
            if (entry.Before is { } before)
                await before.Planned.WaitAsync(cancellationToken);
            entry.Planner = await PlanAsync(entry.Batch, inOrder: false, cancellationToken);

            // Step 2.
            var overlapping = Lanes.Enter(entry);
            entry.SetPlanned();

            // Step 3.
            var missing = await Lanes.ApplyAsync(entry, overlapping, cancellationToken);
            entry.SetCommitted();
            return new WriteOutcome(missing);
        }
        catch (RefusedException refused)
        {
            throw refused.ToFailure(options.Name);
        }
        finally
        {
            // Does nothing to a batch that has committed.
            entry.SetFailed();
        }
    }

    async Task<ApplyPlanner> PlanAsync(TransactionBatch batch, bool inOrder, CancellationToken cancellationToken)
    {
        await _planning.WaitAsync(cancellationToken);
        try
        {
            return await _tables!.PlanAsync(batch, inOrder, cancellationToken);
        }
        finally
        {
            _planning.Release();
        }
    }
}
