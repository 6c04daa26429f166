namespace Tributary.Streaming.Targets.Postgres;

/// <summary>
/// One batch between its arrival and its commit, with what others must know of it. Batches are planned, given a lane, and committed in the order of
/// the source; only their statements overlap.
/// </summary>
internal sealed class BatchInFlight(TransactionBatch batch, BatchInFlight? before)
{
    readonly TaskCompletionSource _planned = NewSignal();
    readonly TaskCompletionSource _hasLane = NewSignal();
    readonly TaskCompletionSource _committed = NewSignal();
    readonly TaskCompletionSource _mustYield = NewSignal();
    readonly Lock _lock = new();
    TaskCompletionSource? _holding;
    bool _mayNotBegin;

    public TransactionBatch Batch => batch;

    public ApplyPlanner? Planner { get; set; }

    /// <summary>The batch is applied with no other beside it, since something was in its way.</summary>
    public bool IsAlone { get; set; }

    /// <summary>The statements of the batch and the hashes of its keys are known.</summary>
    public Task Planned => _planned.Task;

    public Task HasLane => _hasLane.Task;

    /// <summary>Cancelled when the batch has failed: then no later one may commit.</summary>
    public Task Committed => _committed.Task;

    /// <summary>The batch before this one; null once that has committed, so that a chain of batches does not stay in memory.</summary>
    public BatchInFlight? Before { get; private set; } = before;

    /// <summary>An earlier batch needs what this one has locked.</summary>
    public Task MustYield => _mustYield.Task;

    public void SetPlanned() => _planned.SetResult();

    public void SetHasLane() => _hasLane.SetResult();

    public void SetCommitted()
    {
        Before = null;
        _committed.SetResult();
    }

    public void SetFailed()
    {
        Before = null;
        _planned.TrySetCanceled();
        _hasLane.TrySetCanceled();
        _committed.TrySetCanceled();
    }

    /// <summary>Whether the batch may take locks before its turn to commit; false once an earlier one has asked it to yield.</summary>
    public bool TryBegin()
    {
        lock (_lock)
        {
            if (_mayNotBegin)
                return false;
            _holding = NewSignal();
            return true;
        }
    }

    /// <summary>The batch holds no locks any more.</summary>
    public void LetGo()
    {
        lock (_lock)
        {
            _mayNotBegin = true;
            _holding?.TrySetResult();
        }
    }

    /// <summary>Asks the batch to undo what it has done before its turn; the answer ends when it holds nothing.</summary>
    public Task YieldAsync()
    {
        lock (_lock)
        {
            _mayNotBegin = true;
            _mustYield.TrySetResult();
            return _holding?.Task ?? Task.CompletedTask;
        }
    }

    /// <summary>Whether the two may not be applied at the same time.</summary>
    public bool Overlaps(BatchInFlight other)
    {
        if (Planner!.IsBarrier || other.Planner!.IsBarrier)
            return true;
        var (few, many) = (Planner.KeyHashes, other.Planner.KeyHashes);
        if (few.Count > many.Count)
            (few, many) = (many, few);
        return many.Overlaps(few); // It walks its argument.
    }

    static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
