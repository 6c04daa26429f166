using System.Net.Http.Json;
using System.Text.Json;

namespace Tributary.Load.Schema;

/// <summary>Looks at a stream's status again and again, for a stop that the program would mend by itself before anybody asks.</summary>
sealed class StreamWatch : IAsyncDisposable
{
    static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(250);

    readonly CancellationTokenSource _stop = new();
    readonly TributaryServer _server;
    readonly double _cpuMsBefore;
    readonly Task _watching;

    StreamWatch(TributaryServer server)
    {
        _server = server;
        _cpuMsBefore = ProcessMeter.CpuMs(server.ProcessId);
        _watching = WatchAsync();
    }

    /// <summary>What the stream last said of a stop; null when there was none.</summary>
    public string? Error { get; private set; }

    /// <summary>Connections that were lost and made again.</summary>
    public int Reconnections { get; private set; }

    public int Stops => Reconnections + (Error is not null && Reconnections == 0 ? 1 : 0);

    public long LagBytes { get; private set; }

    public long Carried { get; private set; }

    public long PeakBytes { get; private set; }

    /// <summary>Processor time of the program since the watch began.</summary>
    public double CpuMs => ProcessMeter.CpuMs(_server.ProcessId) - _cpuMsBefore;

    public static StreamWatch Start(TributaryServer server) => new(server);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _watching;
        _stop.Dispose();
    }

    async Task WatchAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                var stream = (await _server.Api.GetFromJsonAsync<JsonElement>("v1/status", _stop.Token)).GetProperty("streams")[0];
                if (stream.TryGetProperty("error", out var error) && error.GetString() is { } text)
                    Error = text;
                Reconnections = (int)Number(stream, "reconnections");
                LagBytes = Number(stream, "lagBytes");
                Carried = stream.TryGetProperty("changes", out var changes) && changes.ValueKind == JsonValueKind.Object ? Number(changes, "schemas") : 0;
                PeakBytes = Math.Max(PeakBytes, ProcessMeter.ProportionalBytes(_server.ProcessId));
            }
            catch (HttpRequestException exception)
            {
                Error ??= $"The program does not answer: {exception.Message}";
            }
            catch (OperationCanceledException)
            {
                return;
            }

            await Task.Delay(Interval, TimeProvider.System, _stop.Token).ContinueWith(static _ => { }, TaskScheduler.Default);
        }
    }

    static long Number(JsonElement element, string name) => element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number ? value.GetInt64() : 0;
}
