namespace Tributary.Branching.Compute;

/// <summary>
/// The places for branches that run at once. Who is about to start a server takes one; where all are taken, the idle server goes to sleep that nobody
/// has used for the longest time.
/// </summary>
internal sealed class RunningPlaces(int most)
{
    readonly Lock _lock = new();

    /// <summary>How many requests are about to start a server, by its number.</summary>
    readonly Dictionary<long, int> _starting = [];

    /// <summary>Servers that are being put to sleep for another.</summary>
    readonly HashSet<long> _leaving = [];

    /// <summary>Takes a place until it is disposed of; from when the server runs, its place is its own. Null when all are in use.</summary>
    /// <param name="number">The server's.</param>
    /// <param name="computes">All that there are, by their numbers.</param>
    public async Task<IDisposable?> TakeAsync(long number, IEnumerable<KeyValuePair<long, BranchCompute>> computes, CancellationToken cancellationToken)
    {
        HashSet<long> tried = [];
        while (true)
        {
            BranchCompute idle;
            long idleNumber;
            lock (_lock)
            {
                var taken = computes.Where(pair => pair.Value.State != ComputeState.Asleep && !_leaving.Contains(pair.Key)).Select(static pair => pair.Key).Union(_starting.Keys).ToHashSet();
                if (taken.Contains(number) || taken.Count < most)
                    return Enter(number);
                if (computes.Where(pair => pair.Value is { State: ComputeState.Running, Leases: 0 } && !_starting.ContainsKey(pair.Key) && !_leaving.Contains(pair.Key) && !tried.Contains(pair.Key))
                    .OrderBy(static pair => pair.Value.LastUsedAt).Take(1).ToList() is not [var longest])
                    return null;
                (idleNumber, idle) = longest;
                tried.Add(idleNumber);
                _leaving.Add(idleNumber);
                Enter(number);
            }

            var hasLeft = false;
            try
            {
                await idle.StopIfIdleAsync(TimeSpan.Zero, cancellationToken);
                hasLeft = idle.State == ComputeState.Asleep;
            }
            finally
            {
                lock (_lock)
                    _leaving.Remove(idleNumber);
                if (!hasLeft)
                    Leave(number);
            }

            // One that has got a client meanwhile stays.
            if (hasLeft)
                return new Place(this, number);
        }
    }

    // Called under the lock.
    Place Enter(long number)
    {
        _starting[number] = _starting.GetValueOrDefault(number) + 1;
        return new Place(this, number);
    }

    void Leave(long number)
    {
        lock (_lock)
        {
            if (--_starting[number] == 0)
                _starting.Remove(number);
        }
    }

    sealed class Place(RunningPlaces places, long number) : IDisposable
    {
        bool _isLeft;

        public void Dispose()
        {
            if (!Interlocked.Exchange(ref _isLeft, true))
                places.Leave(number);
        }
    }
}
