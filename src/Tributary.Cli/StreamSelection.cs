using System.CommandLine;
using Tributary.Contracts;
using Tributary.Postgres;
using Tributary.Server;
using Tributary.Server.Configuration;

namespace Tributary.Cli;

/// <summary>One stream that a command works on.</summary>
/// <param name="Telemetry">What the configuration file says; the environment alone when there is none.</param>
sealed record SelectedStream(PostgresUrl Source, StreamConfiguration Stream, TelemetryConfiguration Telemetry);

/// <summary>How a command names one stream: by its two URLs, or out of the configuration file.</summary>
static class StreamSelection
{
    static readonly Argument<string?> Stream = new("stream")
    {
        Description = "A stream of the configuration; may be left out when there is one",
        Arity = ArgumentArity.ZeroOrOne,
    };

    static readonly Option<string?> Source = new("--source") { Description = "Production's URL", HelpName = "url" };

    static readonly Option<string?> Target = new("--target", "--to")
    {
        Description = "URL of the Postgres that receives the rows, or stdout for a line of JSON for each change",
        HelpName = "url|stdout",
    };

    static readonly Option<string?> Checkpoint = new("--checkpoint")
    {
        Description = "With --to stdout: the file that keeps the position; streams/NAME.checkpoint in the state folder when left out",
        HelpName = "file",
    };

    static readonly Option<string> Name = new("--name")
    {
        Description = "Names the stream, its slot and its publication (tributary_NAME)",
        HelpName = "name",
        DefaultValueFactory = static _ => "replica",
    };

    public static void AddStreamOptions(this Command command)
    {
        command.Add(Stream);
        command.Add(Source);
        command.Add(Target);
        command.Add(Checkpoint);
        command.Add(Name);
        command.Add(SharedOptions.Config);
        command.Add(SharedOptions.Output);
    }

    /// <summary>The stream; without one the exit code, and what is wrong has been reported.</summary>
    public static (SelectedStream? Stream, int ExitCode) Read(ParseResult parse)
    {
        var (source, target) = (parse.GetValue(Source), parse.GetValue(Target));
        if (source is null && target is null)
            return FromConfiguration(parse);
        if (source is null || target is null)
            return (null, Failures.Usage(parse, $"{(source is null ? "--source" : "--target")} is missing", "give --source and --target, or a configuration with -c tributary.yaml"));
        if (!PostgresUrl.TryParse(source, out var sourceUrl, out var error))
            return (null, Failures.Usage(parse, $"--source: {error}"));
        if (ReadTarget(parse, target, out error) is not { } to)
            return (null, Failures.Usage(parse, $"--target: {error}"));
        var stream = new StreamConfiguration
        {
            Name = parse.GetValue(Stream) ?? parse.GetRequiredValue(Name),
            Target = to,
            StateDirectory = UpOptions.UnnamedStateDirectory(),
        };
        return Server.Hosting.StreamRunner.Mistakes(sourceUrl, stream) is { Count: > 0 } mistakes
            ? (null, Failures.Usage(parse, string.Join(' ', mistakes)))
            : (new SelectedStream(sourceUrl, stream, FromEnvironment()), ExitCodes.Ok);
    }

    static TelemetryConfiguration FromEnvironment() => new()
    {
        OtlpEndpoint = Uri.TryCreate(Environment.GetEnvironmentVariable("OTEL_EXPORTER_OTLP_ENDPOINT"), UriKind.Absolute, out var endpoint) ? endpoint : null,
    };

    static TargetConfiguration? ReadTarget(ParseResult parse, string target, out string error)
    {
        error = "";
        if (target == "stdout")
        {
            return new StdoutTargetConfiguration(parse.GetValue(Checkpoint), UpOptions.UnnamedStateDirectory());
        }

        return PostgresUrl.TryParse(target, out var url, out error) ? new PostgresTargetConfiguration(url) : null;
    }

    static (SelectedStream? Stream, int ExitCode) FromConfiguration(ParseResult parse)
    {
        if (ServerFinder.ConfigFile(parse) is not { } file)
            return (null, Failures.Usage(parse, "nothing says which stream", "give --source and --target, or a configuration with -c tributary.yaml"));
        var read = ConfigurationReader.ReadFile(file, new ConfigurationOverrides(), Environment.GetEnvironmentVariable);
        if (read.Configuration is not { } configuration)
            return (null, Failures.Report(parse, read.Errors));
        var names = configuration.Streams.Select(stream => stream.Name).ToList();
        var wanted = parse.GetValue(Stream);
        if (names.Count == 0)
            return (null, Failures.Usage(parse, $"{file} has no streams", "add one under 'streams:', or give --source and --target"));
        if (wanted is null && names.Count > 1)
            return (null, Failures.Usage(parse, $"{file} has several streams: {string.Join(", ", names)}", "name one of them"));
        if (configuration.Streams.FirstOrDefault(stream => wanted is null || stream.Name == wanted) is { } selected)
            return (new SelectedStream(configuration.Source!, selected, configuration.Telemetry), ExitCodes.Ok);
        Failures.Write(parse, $"{file} has no stream '{wanted}'", $"its streams are: {string.Join(", ", names)}", ProblemCodes.NotFound);
        return (null, ExitCodes.NotFound);
    }
}
