namespace Tributary.Load;

/// <summary>Times of one kind of work, for the figures of a table.</summary>
sealed class Durations
{
    readonly List<double> _milliseconds = [];

    public void Add(TimeSpan duration) => _milliseconds.Add(duration.TotalMilliseconds);

    public double P50 => Percentile(0.50);

    public double P99 => Percentile(0.99);

    public override string ToString() => ToString("0");

    /// <param name="format">Of the milliseconds.</param>
    public string ToString(string format) =>
        $"p50 {P50.ToString(format)} ms, p99 {P99.ToString(format)} ms, {_milliseconds.Count} times";

    // The nearest rank, so that each figure is one that was measured.
    double Percentile(double share)
    {
        var sorted = _milliseconds.Order().ToList();
        return sorted[Math.Max(0, (int)Math.Ceiling(share * sorted.Count) - 1)];
    }
}
