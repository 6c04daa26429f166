using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace Tributary.Streaming.Tests;

public sealed class MetricsTests
{
    [Fact]
    public async Task Figures_follow_the_stream_and_end_with_it_and_spans_are_of_batches()
    {
        var seen = new ConcurrentDictionary<string, double>();
        await using var stream = await StreamHarness.CreateAsync("CREATE TABLE item (id int PRIMARY KEY); INSERT INTO item VALUES (1), (2)");
        var name = stream.Options.Name;
        using var listener = Listen(name, seen);
        var spans = new ConcurrentBag<Activity>();
        using var traces = new ActivityListener
        {
            ShouldListenTo = static source => source.Name == "Tributary.Streaming",
            Sample = static (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
            ActivityStopped = activity =>
            {
                if (activity.GetTagItem("tributary.stream") as string == name)
                    spans.Add(activity);
            },
        };
        ActivitySource.AddActivityListener(traces);

        await stream.StartAndCatchUpAsync();
        await stream.SourceAsync("INSERT INTO item SELECT generate_series(3, 102); DELETE FROM item WHERE id = 1");
        await stream.CatchUpAsync();
        listener.RecordObservableInstruments();

        Assert.Equal((100, 1, 0), (seen["rows/insert"], seen["rows/delete"], seen["rows/update"]));
        Assert.Equal((1, 0), (seen["phase/streaming"], seen["phase/failed"]));
        Assert.Equal(2, seen["copied_rows"]);
        Assert.InRange(seen["lag_seconds"], 0, 30);
        Assert.True(seen["batches"] >= 1 && seen["transactions"] >= 1 && seen["confirmed_lsn"] > 0);
        Assert.Equal((0, 0), (seen["in_flight_transactions"], seen["spool_bytes"]));
        Assert.Single(spans, span => span.OperationName == "stream.copy");
        Assert.InRange(spans.Count(span => span.OperationName == "stream.write"), 1, (int)stream.Pipeline!.Status.Batches);

        await stream.StopAsync();
        seen.Clear();
        listener.RecordObservableInstruments();
        Assert.Empty(seen);
    }

    [Fact]
    public async Task What_waits_for_a_slow_target_is_in_flight_and_a_failed_stream_stays_in_sight()
    {
        var seen = new ConcurrentDictionary<string, double>();
        await using var stream = await StreamHarness.CreateAsync("CREATE TABLE item (id int PRIMARY KEY, v text)");
        using var listener = Listen(stream.Options.Name, seen);
        await stream.StartAndCatchUpAsync();
        await using (var holder = new Npgsql.NpgsqlConnection(stream.Target))
        {
            await holder.OpenAsync(TestContext.Current.CancellationToken);
            await using var transaction = await holder.BeginTransactionAsync(TestContext.Current.CancellationToken);
            await using var hold = new Npgsql.NpgsqlCommand("LOCK TABLE item", holder, transaction);
            await hold.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
            await stream.SourceAsync("INSERT INTO item VALUES (1, repeat('x', 1000))");
            await stream.WaitAsync(status => status.InFlight is { Transactions: > 0, Bytes: > 1000 });
            listener.RecordObservableInstruments();
            Assert.True(seen["in_flight_bytes"] > 1000);
        }

        await stream.CatchUpAsync();
        await stream.TargetAsync("DROP TABLE item");
        await stream.SourceAsync("INSERT INTO item VALUES (2, 'x')");
        await stream.FailureAsync();
        listener.RecordObservableInstruments();
        Assert.Equal((1, 0), (seen["phase/failed"], seen["phase/streaming"]));
    }

    // By the part of the name that follows "tributary.stream.", and the word that the measurement is labelled with besides its stream.
    static MeterListener Listen(string stream, ConcurrentDictionary<string, double> seen)
    {
        void See(Instrument instrument, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
        {
            var words = tags.ToArray();
            if (words.Any(tag => tag.Key == "stream" && tag.Value as string == stream))
                seen[string.Join('/', [instrument.Name["tributary.stream.".Length..], .. words.Where(tag => tag.Key is "kind" or "phase").Select(tag => (string)tag.Value!)])] = value;
        }

        var listener = new MeterListener
        {
            InstrumentPublished = static (instrument, listener) =>
            {
                if (instrument.Meter.Name == "Tributary.Streaming")
                    listener.EnableMeasurementEvents(instrument);
            },
        };
        listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => See(instrument, value, tags));
        listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) => See(instrument, value, tags));
        listener.Start();
        return listener;
    }
}
