using System.Collections.Concurrent;
using System.Diagnostics.Metrics;

namespace Tributary.Streaming;

/// <summary>
/// The figures of every stream of this process, on the meter <c>Tributary.Streaming</c>; they cost nothing until somebody listens. Labels are the
/// stream, the kind of its target, and words out of our own enums: none grows with the data. Names follow Prometheus, with the unit last:
/// https://prometheus.io/docs/practices/naming/
/// </summary>
internal static class StreamMetrics
{
    public const string Name = "Tributary.Streaming";

    static readonly Meter Meter = new(Name);
    static readonly ConcurrentDictionary<string, StreamFigures> Streams = new(StringComparer.Ordinal);

    // From a commit that is applied at once to one that waited for an outage of minutes.
    static readonly Histogram<double> Lag = Meter.CreateHistogram(
        "tributary.stream.lag_seconds", "s", "From a transaction's commit at the source to its commit in the target, each transaction once.",
        advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300] });

    static StreamMetrics()
    {
        Gauge("lag_bytes", "By", "Bytes of the source's log that the target has not confirmed.", static status => status.LagBytes);
        Gauge("in_flight_transactions", "{transaction}", "Transactions that have arrived and wait for the target.", static status => status.InFlight.Transactions);
        Gauge("in_flight_bytes", "By", "Bytes of row images that wait for the target in memory.", static status => status.InFlight.Bytes);
        Gauge("spool_bytes", "By", "Bytes of large transactions that wait on disk.", static status => status.InFlight.SpoolBytes);
        Gauge("confirmed_lsn", null, "The end of the last commit that the target holds for good, as a number of bytes of the source's log.", static status => (long)status.ConfirmedLsn.Value);
        Gauge("source_lsn", null, "The newest position of the source that is known, as a number of bytes of its log.", static status => (long)status.SourceLsn.Value);
        Counter("batches", "Writes to the target.", static status => status.Batches);
        Counter("transactions", "Transactions that the target has made durable.", static status => status.Transactions);
        Counter("missing_rows", "Updates and deletes that found no row in the target.", static status => status.MissingRows);
        Counter("schema_reports", "Parts of schema changes that the target does not have.", static status => status.SchemaReports);
        Counter("reconnections", "Links that were lost and made anew.", static status => status.Reconnections);
        Counter("copied_rows", "Existing rows that were copied.", static status => status.Copy.Rows);
        Meter.CreateObservableCounter("tributary.stream.rows", static () => Streams.Values.SelectMany(static stream => stream.Rows()), null, "Changes that the target has made durable, by kind.");
        Meter.CreateObservableGauge("tributary.stream.phase", static () => Streams.Values.SelectMany(static stream => stream.Phases()), null, "1 for the phase that the stream is in, 0 for the others.");
    }

    /// <summary>
    /// Shows a stream until the answer is disposed. One that has failed is not disposed of: its phase is what an alarm looks at. Another of
    /// its name takes its place.
    /// </summary>
    public static StreamFigures Show(string stream, string target, Func<StreamStatus> status) =>
        Streams[stream] = new StreamFigures(stream, target, status, static figures => Streams.TryRemove(new(figures.Stream, figures)));

    public static void RecordLag(StreamFigures stream, TimeSpan lag) => Lag.Record(lag.TotalSeconds, stream.Labels);

    static void Gauge(string name, string? unit, string description, Func<StreamStatus, long> read) =>
        Meter.CreateObservableGauge($"tributary.stream.{name}", () => Streams.Values.Select(stream => stream.Measure(read)), unit, description);

    static void Counter(string name, string description, Func<StreamStatus, long> read) =>
        Meter.CreateObservableCounter($"tributary.stream.{name}", () => Streams.Values.Select(stream => stream.Measure(read)), null, description);
}

/// <summary>One stream among those that are shown.</summary>
internal sealed class StreamFigures(string stream, string target, Func<StreamStatus> status, Action<StreamFigures> hide) : IDisposable
{
    static readonly StreamPhase[] AllPhases = Enum.GetValues<StreamPhase>();

    public string Stream => stream;

    public KeyValuePair<string, object?>[] Labels { get; } = [new("stream", stream), new("target", target)];

    public Measurement<long> Measure(Func<StreamStatus, long> read) => new(read(status()), Labels);

    public IEnumerable<Measurement<long>> Rows()
    {
        var changes = status().Changes;
        yield return With(changes.Inserts, "kind", "insert");
        yield return With(changes.Updates, "kind", "update");
        yield return With(changes.Deletes, "kind", "delete");
        yield return With(changes.Truncates, "kind", "truncate");
        yield return With(changes.Schemas, "kind", "schema");
    }

    public IEnumerable<Measurement<long>> Phases()
    {
        var now = status().Phase;
        return AllPhases.Select(phase => With(phase == now ? 1 : 0, "phase", $"{char.ToLowerInvariant(phase.ToString()[0])}{phase.ToString()[1..]}"));
    }

    public void Dispose() => hide(this);

    Measurement<long> With(long value, string label, string word) => new(value, [.. Labels, new(label, word)]);
}
