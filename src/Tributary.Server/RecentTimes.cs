namespace Tributary.Server;

/// <summary>The last durations of something that is done again and again; any thread may add and read.</summary>
sealed class RecentTimes
{
    /// <summary>Enough for a steady 99th percentile of recent work, and 2 kB.</summary>
    const int Kept = 256;

    readonly Lock _lock = new();
    readonly TimeSpan[] _times = new TimeSpan[Kept];
    long _count;

    /// <summary>Hears of each; set before the first.</summary>
    public Action<TimeSpan>? Added { get; set; }

    /// <summary>How many there were.</summary>
    public long Count
    {
        get
        {
            lock (_lock)
                return _count;
        }
    }

    public void Add(TimeSpan time)
    {
        lock (_lock)
            _times[_count++ % Kept] = time;
        Added?.Invoke(time);
    }

    /// <summary>The median; null when nothing was measured.</summary>
    public TimeSpan? Median()
    {
        lock (_lock)
        {
            var sorted = _times.AsSpan(0, (int)Math.Min(_count, Kept)).ToArray();
            Array.Sort(sorted);
            return sorted.Length == 0 ? null : sorted[sorted.Length / 2];
        }
    }
}
