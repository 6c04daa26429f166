using Microsoft.Extensions.Logging;
using Tributary.Streaming.Copying;
using Tributary.Streaming.Sources;
using Tributary.Streaming.Targets.Postgres;

namespace Tributary.Streaming.Hosting;

/// <summary>Puts a stream together.</summary>
public static class StreamFactory
{
    /// <exception cref="StreamException">Kind Configuration: the options hold mistakes; the message names all of them.</exception>
    public static StreamPipeline Create(StreamOptions options, TimeProvider time, ILoggerFactory loggerFactory)
    {
        if (options.Validate() is { Count: > 0 } errors)
            throw new StreamException(StreamErrorKind.Configuration, string.Join(" ", errors));
        var logger = loggerFactory.CreateLogger<StreamPipeline>();
        return new StreamPipeline(
            options, () => new ReplicationSource(options, time), () => new PostgresTarget(options, time, logger), new InitialCopy(options), time, logger);
    }
}
