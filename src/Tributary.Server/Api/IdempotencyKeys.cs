namespace Tributary.Server.Api;

/// <summary>
/// Lets requests with one key that are under way together share one creation. What an earlier one has made is known by the catalog, which answers
/// the branch as it is by then, also after a restart.
/// </summary>
sealed class IdempotencyKeys
{
    readonly Lock _lock = new();
    readonly Dictionary<string, Task<Creation>> _underWay = [];

    /// <summary>Runs <paramref name="create"/> unless a request with this key is being answered, whose answer it shares then.</summary>
    public async Task<Creation> OnceAsync(string key, Func<Task<Creation>> create)
    {
        Task<Creation> creation;
        lock (_lock)
        {
            if (!_underWay.TryGetValue(key, out creation!))
                _underWay[key] = creation = create();
        }

        try
        {
            return await creation;
        }
        finally
        {
            lock (_lock)
            {
                // Another request may have begun a new attempt under this key meanwhile.
                if (_underWay.TryGetValue(key, out var current) && current == creation)
                    _underWay.Remove(key);
            }
        }
    }
}
