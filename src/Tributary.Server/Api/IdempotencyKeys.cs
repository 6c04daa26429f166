namespace Tributary.Server.Api;

/// <summary>
/// Remembers which request made which branch, so that a repeated request answers the first one's branch instead of making another.
/// Requests with one key that arrive together share one creation. Keys live in memory here; the catalog has those of the branches that exist,
/// so that a repetition after a restart answers the first one's branch too.
/// </summary>
sealed class IdempotencyKeys
{
    /// <summary>A client repeats within minutes; a thousand keys are minutes of the busiest use, and about 100 kB.</summary>
    const int KeysMax = 1024;

    readonly Lock _lock = new();
    readonly Dictionary<string, Task<Creation>> _byKey = [];
    readonly Queue<string> _order = new();

    /// <summary>Runs <paramref name="create"/> unless a request with this key did; a failed creation is forgotten, so that it may be tried again.</summary>
    public async Task<Creation> OnceAsync(string key, Func<Task<Creation>> create)
    {
        Task<Creation> creation;
        lock (_lock)
        {
            if (!_byKey.TryGetValue(key, out creation!))
            {
                creation = create();
                _byKey[key] = creation;
                _order.Enqueue(key);
                if (_order.Count > KeysMax)
                    _byKey.Remove(_order.Dequeue());
            }
        }

        var succeeded = false;
        try
        {
            var answer = await creation;
            succeeded = answer.Problem is null;
            return answer;
        }
        finally
        {
            if (!succeeded)
            {
                lock (_lock)
                {
                    // Another request may have begun a new attempt under this key meanwhile; only the failed one is forgotten.
                    if (_byKey.TryGetValue(key, out var current) && current == creation)
                        _byKey.Remove(key);
                }
            }
        }
    }
}
