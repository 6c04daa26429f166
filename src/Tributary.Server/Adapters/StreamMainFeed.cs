using Microsoft.Extensions.Logging;
using Tributary.Branching;
using Tributary.Contracts;
using Tributary.Postgres;
using Tributary.Streaming;
using Tributary.Streaming.Hosting;

namespace Tributary.Server.Adapters;

/// <summary>Streams production into main, as any stream does into its target.</summary>
sealed class StreamMainFeed(BranchingOptions branching, TimeProvider timeProvider, ILoggerFactory loggerFactory) : IMainFeed
{
    volatile StreamPipeline? _pipeline;

    public MainFeedStatus Status => _pipeline?.Status is { } status
        ? new MainFeedStatus(status.Phase == StreamPhase.Streaming, status.Copy.Fraction * 100, status.Phase == StreamPhase.Streaming ? null : status.LastError)
        : new MainFeedStatus(false, 0, null);

    /// <summary>The stream as the API shows it beside the others.</summary>
    public StreamStatusResponse View()
    {
        const string Target = "main";
        return _pipeline?.Status is { } status
            ? StreamView.Of(status, Target, PartState.Running, error: null)
            : new StreamStatusResponse { Name = IMainFeed.Name, State = PartState.Starting, Target = Target };
    }

    public async Task RunAsync(PostgresUrl main, CancellationToken cancellationToken)
    {
        try
        {
            var pipeline = StreamFactory.Create(MainStream.Options(branching) with { Target = main }, timeProvider, loggerFactory);
            _pipeline = pipeline;
            await pipeline.RunAsync(cancellationToken);
        }
        catch (StreamException exception)
        {
            throw new MainFeedException(exception.Cause ?? exception.Message, exception.Kind == StreamErrorKind.Gap, exception);
        }
    }
}
