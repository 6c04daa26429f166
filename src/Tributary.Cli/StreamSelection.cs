using System.CommandLine;
using Tributary.Postgres;
using Tributary.Streaming;

namespace Tributary.Cli;

/// <summary>The options that name one stream without a configuration file: from where, to where, under which name.</summary>
static class StreamTargets
{
    public static readonly Option<string> Source = new("--source") { Description = "Production's URL", HelpName = "url", Required = true };

    public static readonly Option<string> Target = new("--target") { Description = "URL of the Postgres that receives the rows", HelpName = "url", Required = true };

    public static readonly Option<string> Name = new("--name")
    {
        Description = "Names the stream, its slot and its publication (tributary_NAME)", HelpName = "name", DefaultValueFactory = static _ => "replica",
    };

    /// <summary>The stream's options; null when something does not read, which has been reported.</summary>
    public static StreamOptions? Read(ParseResult parse)
    {
        var source = Url(parse, Source);
        var target = Url(parse, Target);
        if (source is null || target is null)
            return null;
        var options = new StreamOptions { Name = parse.GetRequiredValue(Name), Source = source, Target = target };
        if (options.Validate() is not { Count: > 0 } errors)
            return options;
        Failures.Usage(parse, string.Join(' ', errors));
        return null;
    }

    static PostgresUrl? Url(ParseResult parse, Option<string> option)
    {
        if (PostgresUrl.TryParse(parse.GetRequiredValue(option), out var url, out var error))
            return url;
        Failures.Usage(parse, $"{option.Name}: {error}");
        return null;
    }
}
