namespace Tributary.Streaming;

/// <summary>The lag of the last transactions, in milliseconds. Not thread-safe: its owner guards it.</summary>
internal sealed class LagWindow(int capacity)
{
    readonly double[] _values = new double[capacity];
    long _count;

    public void Add(double milliseconds) => _values[_count++ % _values.Length] = milliseconds;

    /// <summary>The smallest value that at least the given share of the window does not exceed; null before the first value.</summary>
    public double? Percentile(double share)
    {
        var count = (int)Math.Min(_count, _values.Length);
        if (count == 0)
            return null;
        var sorted = _values[..count];
        Array.Sort(sorted);
        return sorted[Math.Clamp((int)Math.Ceiling(share * count) - 1, 0, count - 1)];
    }
}
