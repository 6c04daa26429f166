namespace Tributary.Demo.Figures;

/// <summary>The distribution of times that were measured in this run.</summary>
sealed class Percentiles(IEnumerable<TimeSpan> times)
{
    readonly double[] _sortedMs = [.. times.Select(time => time.TotalMilliseconds).Order()];

    public int Count => _sortedMs.Length;

    public double P50 => At(0.50);

    public double P99 => At(0.99);

    // The nearest rank: always a time that was really measured.
    double At(double share) => _sortedMs.Length == 0 ? double.NaN : _sortedMs[Math.Max(0, (int)Math.Ceiling(share * _sortedMs.Length) - 1)];

    public override string ToString() => $"p50 {P50:0} ms, p99 {P99:0} ms (of {Count})";
}
