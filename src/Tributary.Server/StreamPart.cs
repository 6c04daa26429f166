using Microsoft.Extensions.Logging;
using Tributary.Contracts;
using Tributary.Streaming;

namespace Tributary.Server;

/// <summary>One stream as the server runs it.</summary>
sealed class StreamPart : IAsyncDisposable
{
    readonly StreamConfiguration _configuration;
    readonly StreamPipeline _pipeline;
    readonly ServerPart _loop;

    public StreamPart(StreamConfiguration configuration, StreamPipeline pipeline, TimeProvider timeProvider, ILogger logger)
    {
        _configuration = configuration;
        _pipeline = pipeline;
        _loop = new ServerPart($"stream {configuration.Name}", RunAsync, timeProvider, logger);
    }

    public void Start() => _loop.Start();

    public Task StopAsync() => _loop.StopAsync();

    public StreamStatusResponse Status() => StreamView.Of(_pipeline.Status, _configuration.Target.ToString(), _loop.State, _loop.Error);

    public ValueTask DisposeAsync() => _loop.DisposeAsync();

    async Task RunAsync(CancellationToken cancellationToken)
    {
        try
        {
            await _pipeline.RunAsync(cancellationToken);
        }
        catch (StreamException exception)
        {
            throw new PartFailedException(exception.Message);
        }
    }
}

/// <summary>A stream's status as the API and the command line show it.</summary>
public static class StreamView
{
    /// <param name="target">Where it writes, without a password.</param>
    /// <param name="error">Why its loop ended; null while it runs.</param>
    public static StreamStatusResponse Of(StreamStatus status, string target, PartState state, string? error) => new()
    {
        Name = status.Name,
        State = status.Phase == StreamPhase.Failed ? PartState.Failed : state,
        Phase = char.ToLowerInvariant(status.Phase.ToString()[0]) + status.Phase.ToString()[1..],
        Target = target,
        TablesCopied = status.Copy.TablesDone,
        TablesTotal = status.Copy.TablesTotal,
        RowsCopied = status.Copy.Rows,
        RowsEstimated = status.Copy.RowsEstimated,
        ChangesApplied = status.Changes.Total,
        Changes = new StreamChangesResponse(status.Changes.Inserts, status.Changes.Updates, status.Changes.Deletes, status.Changes.Truncates, status.Changes.Schemas),
        TransactionsApplied = status.Transactions,
        Batches = status.Batches,
        InFlightTransactions = status.InFlight.Transactions,
        InFlightBytes = status.InFlight.Bytes,
        SpoolBytes = status.InFlight.SpoolBytes,
        MissingRows = status.MissingRows,
        SchemaFromDescriptions = status.FollowsDescriptions,
        SchemaReports = status.SchemaReports,
        LastSchemaReports = [.. (status.LastSchemaReports ?? []).Select(static report => new StreamSchemaReportResponse(report.Position.ToString(), report.Tag, report.Subject, report.Why))],
        Reconnections = status.Reconnections,
        LagBytes = status.LagBytes,
        LagMsP50 = status.LagP50Ms,
        LagMsP99 = status.LagP99Ms,
        ConfirmedLsn = status.ConfirmedLsn.IsZero ? null : status.ConfirmedLsn.ToString(),
        SourceLsn = status.SourceLsn.IsZero ? null : status.SourceLsn.ToString(),
        Error = error ?? status.LastError,
    };
}
