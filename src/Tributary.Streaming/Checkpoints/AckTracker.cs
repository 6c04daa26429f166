using Tributary.Postgres;

namespace Tributary.Streaming.Checkpoints;

/// <summary>
/// The only code that lets the source forget. Guarantee: a confirmed position never goes backwards and never lies beyond a transaction that
/// has begun to arrive and is not durable in the target.
/// Threading: every member may be called from any thread. Failure: a call out of order is a bug in the pipeline and throws.
/// </summary>
internal sealed class AckTracker(Lsn start, Action<Lsn> confirm)
{
    readonly Lock _lock = new();
    readonly Queue<Lsn> _inFlight = new();
    bool _arriving;
    Lsn _confirmed = start;

    public Lsn Confirmed
    {
        get
        {
            lock (_lock)
                return _confirmed;
        }
    }

    /// <summary>A transaction begins to arrive.</summary>
    public void Enter()
    {
        lock (_lock)
            _arriving = true;
    }

    /// <summary>The transaction has arrived and waits for the target.</summary>
    public void Receive(Lsn commitEndLsn)
    {
        lock (_lock)
        {
            _arriving = false;
            _inFlight.Enqueue(commitEndLsn);
        }
    }

    /// <summary>
    /// Whether a position heard of before this call, in a keep-alive for instance, may be saved as reached. The caller reads the position first:
    /// what it read can then lie beyond a transaction only if that transaction had been entered, and a transaction leaves only by being durable.
    /// </summary>
    public bool IsIdle()
    {
        lock (_lock)
            return !_arriving && _inFlight.Count == 0;
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
        }
    }
}
