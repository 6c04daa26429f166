using Tributary.Postgres;

namespace Tributary.Streaming.Checkpoints;

/// <summary>
/// The only code that lets the source forget. Guarantee: a confirmed position never goes backwards and never lies beyond a transaction that
/// has arrived in full and is not durable in the target. It may lie beyond the beginning of one that is still open at the source: that one's commit comes
/// later, and the server keeps the log from the beginning of the oldest such transaction on (restart_lsn), whatever is confirmed.
/// Threading: every member may be called from any thread. Failure: a call out of order is a bug in the pipeline and throws.
/// </summary>
internal sealed class AckTracker(Lsn start, Action<Lsn> confirm)
{
    readonly Lock _lock = new();
    readonly Queue<Lsn> _inFlight = new();
    readonly HashSet<uint> _arriving = [];
    readonly List<(Lsn Position, TaskCompletionSource Reached)> _waiting = [];
    Lsn _confirmed = start;

    public Lsn Confirmed
    {
        get
        {
            lock (_lock)
                return _confirmed;
        }
    }

    /// <summary>A transaction begins to arrive; one that is open at the source may do so beside others.</summary>
    public void Enter(uint xid)
    {
        lock (_lock)
            _arriving.Add(xid);
    }

    /// <summary>It was undone at the source.</summary>
    public void Leave(uint xid)
    {
        lock (_lock)
            _arriving.Remove(xid);
    }

    /// <summary>The transaction has arrived and waits for the target.</summary>
    public void Receive(uint xid, Lsn commitEndLsn)
    {
        lock (_lock)
        {
            _arriving.Remove(xid);
            _inFlight.Enqueue(commitEndLsn);
        }
    }

    /// <summary>
    /// Whether a position heard of before this call, in a keep-alive for instance, may be saved as reached. The caller reads the position first:
    /// what it read can then lie beyond a transaction's commit only if that transaction had been entered, and a transaction leaves only by being durable.
    /// One that is open counts as entered, since its commit may have been heard of before it was read: a position in a keep-alive then waits for it.
    /// </summary>
    public bool IsIdle()
    {
        lock (_lock)
            return _arriving.Count == 0 && _inFlight.Count == 0;
    }

    /// <summary>The target has saved the position, and with it every transaction that ends at or before it.</summary>
    public void Durable(Lsn position)
    {
        lock (_lock)
        {
            while (_inFlight.TryPeek(out var commitEndLsn) && commitEndLsn <= position)
                _inFlight.Dequeue();
            if (position <= _confirmed)
                return;
            _confirmed = position;
            confirm(position);
            foreach (var (wanted, reached) in _waiting)
            {
                if (wanted <= position)
                    reached.TrySetResult();
            }

            _waiting.RemoveAll(waiting => waiting.Position <= position);
        }
    }

    /// <summary>Ends when everything up to the position is durable.</summary>
    public Task WaitAsync(Lsn position, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            if (position <= _confirmed)
                return Task.CompletedTask;
            var reached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _waiting.Add((position, reached));
            return reached.Task.WaitAsync(cancellationToken);
        }
    }
}
