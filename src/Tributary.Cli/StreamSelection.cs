using System.CommandLine;
using Tributary.Postgres;
using Tributary.Server;
using Tributary.Server.Configuration;

namespace Tributary.Cli;

/// <summary>One stream that a command works on.</summary>
sealed record SelectedStream(PostgresUrl Source, StreamConfiguration Stream);

/// <summary>How a command names one stream: by its two URLs, or out of the configuration file.</summary>
static class StreamSelection
{
    static readonly Argument<string?> Stream = new("stream")
    {
        Description = "A stream of the configuration; may be left out when there is one",
        Arity = ArgumentArity.ZeroOrOne,
    };

    static readonly Option<string?> Source = new("--source") { Description = "Production's URL", HelpName = "url" };

    static readonly Option<string?> Target = new("--target") { Description = "URL of the Postgres that receives the rows", HelpName = "url" };

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
        if (!PostgresUrl.TryParse(target, out var targetUrl, out error))
            return (null, Failures.Usage(parse, $"--target: {error}"));
        var stream = new StreamConfiguration
        {
            Name = parse.GetValue(Stream) ?? parse.GetRequiredValue(Name),
            Target = targetUrl,
            StateDirectory = Path.GetFullPath(Environment.GetEnvironmentVariable("TRIBUTARY_STATE") is { Length: > 0 } state ? state : TributaryConfiguration.DefaultStateDirectory()),
        };
        return Server.Hosting.StreamRunner.Mistakes(stream) is { Count: > 0 } mistakes
            ? (null, Failures.Usage(parse, string.Join(' ', mistakes)))
            : (new SelectedStream(sourceUrl, stream), ExitCodes.Ok);
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
            return (new SelectedStream(configuration.Source, selected), ExitCodes.Ok);
        Failures.Write(parse, $"{file} has no stream '{wanted}'", $"its streams are: {string.Join(", ", names)}");
        return (null, ExitCodes.NotFound);
    }
}
