namespace Tributary.Streaming;

/// <summary>
/// The lag of the latest transactions, in milliseconds: at most so many, and none older than the span, so that a catch-up after a copy or
/// an outage colours the figures no longer than that. Not thread-safe: its owner guards it.
/// </summary>
internal sealed class LagWindow(int capacity, TimeSpan span)
{
    readonly (DateTimeOffset Time, double Milliseconds)[] _values = new (DateTimeOffset, double)[capacity];
    long _count;

    public void Add(DateTimeOffset now, double milliseconds) => _values[_count++ % _values.Length] = (now, milliseconds);

    /// <summary>For each share the smallest value that at least this share of the window does not exceed; null when the window is empty.</summary>
    public double?[] Percentiles(DateTimeOffset now, params ReadOnlySpan<double> shares)
    {
        var recent = new List<double>();
        foreach (var (time, milliseconds) in _values.AsSpan(0, (int)Math.Min(_count, _values.Length)))
        {
            if (now - time <= span)
                recent.Add(milliseconds);
        }

        recent.Sort();
        var answers = new double?[shares.Length];
        for (var i = 0; i < shares.Length && recent.Count > 0; i++)
            answers[i] = recent[Math.Clamp((int)Math.Ceiling(shares[i] * recent.Count) - 1, 0, recent.Count - 1)];
        return answers;
    }
}
