using Microsoft.Extensions.Logging;
using Tributary.Contracts;
using Tributary.Postgres;
using Tributary.Server.Diagnosis;
using Tributary.Server.Telemetry;
using Tributary.Streaming;
using Tributary.Streaming.Hosting;

namespace Tributary.Server.Hosting;

/// <summary>One stream without a server: checked, run in the foreground, or taken back. Expected failures are values.</summary>
/// <param name="source">Production.</param>
/// <param name="stream">Valid: <see cref="Mistakes"/> is empty.</param>
/// <param name="output">Where a stream of lines goes while it runs; its owner closes it.</param>
public sealed class StreamRunner(PostgresUrl source, StreamConfiguration stream, TimeProvider timeProvider, ILoggerFactory loggerFactory, Stream? output = null)
{
    StreamPipeline? _pipeline;
    string? _error;

    public string Name => stream.Name;

    /// <summary>What is wrong with a stream's name; empty when nothing is.</summary>
    public static IReadOnlyList<string> Mistakes(PostgresUrl source, StreamConfiguration stream) => stream.Options(source).Validate();

    /// <summary>The stream as it is now; safe from any thread.</summary>
    public StreamStatusResponse Status => _pipeline is { } pipeline
        ? StreamView.Of(pipeline.Status, stream.Target.ToString(), _error is null ? PartState.Running : PartState.Failed, _error)
        : new StreamStatusResponse { Name = stream.Name, State = PartState.Starting, Target = stream.Target.ToString() };

    /// <summary>Looks at both ends and changes nothing.</summary>
    public Task<StreamCheckResponse> CheckAsync(CancellationToken cancellationToken) => StreamChecks.RunAsync(source, stream, cancellationToken);

    /// <summary>Makes what the stream needs besides its slot, and starts nothing; it may be called again.</summary>
    /// <param name="check">What was found before; its errors are mended.</param>
    public async Task<(StreamInitResponse? Ready, OperationFailure? Failure)> InitAsync(StreamCheckResponse check, CancellationToken cancellationToken)
    {
        try
        {
            var ready = await StreamSetup.PrepareAsync(stream.Options(source), cancellationToken);
            return (new StreamInitResponse(stream.Name, ready, [.. check.Findings.Where(finding => finding.Severity == StreamFindingSeverity.Warning)]), null);
        }
        catch (StreamException exception)
        {
            return (null, FailureOf(exception));
        }
    }

    /// <summary>Runs as <see cref="RunAsync(CancellationToken)"/> does, and shows its figures meanwhile.</summary>
    public async Task<OperationFailure?> RunAsync(TelemetryConfiguration telemetry, CancellationToken cancellationToken)
    {
        if (telemetry is { MetricsListen: null, OtlpEndpoint: null })
            return await RunAsync(cancellationToken);
        using var exporters = Exporters.Start(null, telemetry.OtlpEndpoint);
        if (telemetry.MetricsListen is not { } address)
            return await RunAsync(cancellationToken);
        var (listener, taken) = await MetricsListener.StartAsync(address, exporters.Metrics, loggerFactory, cancellationToken);
        if (taken is not null)
            return taken;
        await using (listener)
            return await RunAsync(cancellationToken);
    }

    /// <summary>Runs until cancelled, which is success; answers why it cannot go on. To be called once.</summary>
    public async Task<OperationFailure?> RunAsync(CancellationToken cancellationToken)
    {
        try
        {
            _pipeline = StreamFactory.Create(stream.Options(source, output), timeProvider, loggerFactory);
            await _pipeline.RunAsync(cancellationToken);
            return null;
        }
        catch (StreamException exception)
        {
            _error = exception.Message;
            return FailureOf(exception);
        }
    }

    /// <summary>Drops the slot and the publication at the source and the progress at the target; the stream must be stopped.</summary>
    /// <param name="dropCopied">Also drops the tables that the copy made in the target.</param>
    /// <returns>What was removed, or why nothing or not all of it was; it may be called again.</returns>
    public async Task<(RemovalResponse? Removed, OperationFailure? Failure)> DestroyAsync(bool dropCopied, CancellationToken cancellationToken)
    {
        try
        {
            var options = stream.Options(source);
            await StreamTeardown.DestroyAsync(options, dropCopied, cancellationToken);
            var kept = stream.Target is StdoutTargetConfiguration stdout
                ? $"the checkpoint {stdout.CheckpointFile(stream.Name)}"
                : $"the progress of stream {stream.Name}{(dropCopied ? " and the tables that it copied" : "")} at {stream.Target}";
            return (new RemovalResponse([$"slot {options.SlotName} and publication {options.PublicationName} at {source}", kept]), null);
        }
        catch (StreamException exception)
        {
            return (null, FailureOf(exception));
        }
    }

    static OperationFailure FailureOf(StreamException exception) => new(
        exception.Kind switch
        {
            StreamErrorKind.Source => FailureKind.SourceUnsuitable,
            StreamErrorKind.Target => FailureKind.TargetUnsuitable,
            StreamErrorKind.Configuration => FailureKind.Configuration,
            StreamErrorKind.Fenced => FailureKind.AlreadyRunning,
            StreamErrorKind.SpoolFull => FailureKind.NoSpace,
            _ => FailureKind.Work,
        },
        exception.Message);
}
