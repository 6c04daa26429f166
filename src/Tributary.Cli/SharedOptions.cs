using System.CommandLine;

namespace Tributary.Cli;

/// <summary>Options that several commands take; one object each, so that they read the same everywhere.</summary>
static class SharedOptions
{
    public static readonly Option<string> Output = new("--output", "-o")
    {
        Description = "How to print: text or json",
        DefaultValueFactory = static _ => "text",
        HelpName = "text|json",
    };

    public static readonly Option<string?> Socket = new("--socket")
    {
        Description = "The server's Unix socket (also TRIBUTARY_SOCKET)",
        HelpName = "path",
    };

    public static readonly Option<string?> Config = new("--config", "-c")
    {
        Description = "The configuration file; ./tributary.yaml when there is one",
        HelpName = "file",
    };

    static SharedOptions() => Output.AcceptOnlyFromAmong("text", "json");

    public static bool IsJson(ParseResult parse) => parse.GetResult(Output) is not null && parse.GetValue(Output) == "json";
}
