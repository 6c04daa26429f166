using System.CommandLine;
using Tributary.Server;

namespace Tributary.Cli;

/// <summary>Options that say what to run.</summary>
static class UpOptions
{
    public static readonly Option<string?> Source = new("--source") { Description = "Production's URL (also TRIBUTARY_SOURCE_URL)", HelpName = "url" };

    public static readonly Option<string?> Replica = new("--replica") { Description = "A Postgres to stream the rows to, as a stream named 'replica'", HelpName = "url" };

    public static readonly Option<string?> State = new("--state") { Description = "The folder for pool, catalog, keys and socket (also TRIBUTARY_STATE)", HelpName = "folder" };

    public static readonly Option<string?> Listen = new("--listen") { Description = "Where branches are reached (also TRIBUTARY_GATEWAY_LISTEN) [default: 127.0.0.1:6432]", HelpName = "address:port" };

    public static readonly Option<bool> NoBranching = new("--no-branching") { Description = "Only stream: no pool, no gateway" };

    public static readonly Option<bool> Detach = new("--detach", "-d") { Description = "Run in the background, with the log in the state folder; 'tributary down' stops it" };

    /// <summary>Given by <see cref="DetachedServer"/> to the server that it starts: standard error is the log in the state folder, to be kept within its bound.</summary>
    public static readonly Option<bool> KeptLog = new("--kept-log") { Hidden = true };

    /// <summary>The state folder where neither a configuration nor an option says which.</summary>
    public static string UnnamedStateDirectory() =>
        Path.GetFullPath(Environment.GetEnvironmentVariable("TRIBUTARY_STATE") is { Length: > 0 } state ? state : TributaryConfiguration.DefaultStateDirectory());

    /// <summary>The state folder where no configuration says which.</summary>
    public static string StateDirectory(ParseResult parse) => parse.GetValue(State) is { } state ? Path.GetFullPath(state) : UnnamedStateDirectory();

    /// <summary>Whether something beside a configuration names production.</summary>
    public static bool NameSource(ParseResult parse) => parse.GetValue(Source) is not null || Environment.GetEnvironmentVariable("TRIBUTARY_SOURCE_URL") is { Length: > 0 };
}
