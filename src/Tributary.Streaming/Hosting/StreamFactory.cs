using Microsoft.Extensions.Logging;
using Tributary.Streaming.Checkpoints;
using Tributary.Streaming.Copying;
using Tributary.Streaming.Sources;
using Tributary.Streaming.Targets.Postgres;
using Tributary.Streaming.Targets.Stdout;

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
        var followed = new FollowedTables(options, new SourceCatalog(options, time));
        if (options.Stdout is { } stdout)
        {
            var lines = new LineOutput(options.Name, stdout.Output);
            return new StreamPipeline(
                options, () => new ReplicationSource(options, time, followed),
                () => new StdoutTarget(options, stdout, lines, new CheckpointFile(stdout.CheckpointFile, options.Name), followed),
                new ChangesOnly(options, logger), time, logger, followed);
        }

        // Binary values go into the target's statements as they are.
        var reading = options with { ValueFormat = options.ValueFormat ?? ValueFormat.Auto };
        return new StreamPipeline(
            options, () => new ReplicationSource(reading, time, followed), () => new PostgresTarget(options, time, logger, followed),
            new InitialCopy(options, time, followed), time, logger, followed);
    }
}
