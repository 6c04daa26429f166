using System.CommandLine;
using Tributary.Contracts.Client;
using Tributary.Server;
using Tributary.Server.Configuration;

namespace Tributary.Cli;

/// <summary>Finds the socket of the server that a command speaks to: flag, environment, configuration file, the default state folder.</summary>
static class ServerFinder
{
    const string DefaultFile = "tributary.yaml";

    /// <summary>The configuration file to use; null when none is named and none lies here.</summary>
    public static string? ConfigFile(ParseResult parse) => parse.GetValue(SharedOptions.Config) ?? (File.Exists(DefaultFile) ? DefaultFile : null);

    /// <summary>A client for the server; null when the configuration that names it is wrong, which has been reported.</summary>
    public static TributaryClient? Find(ParseResult parse) => SocketPath(parse) is { } path ? new TributaryClient(path) : null;

    static string? SocketPath(ParseResult parse)
    {
        if ((parse.GetValue(SharedOptions.Socket) ?? Environment.GetEnvironmentVariable("TRIBUTARY_SOCKET")) is { Length: > 0 } given)
            return Path.GetFullPath(given);
        if (ConfigFile(parse) is not { } file)
            return TributaryConfiguration.DefaultSocket(UpOptions.UnnamedStateDirectory());
        var read = ConfigurationReader.ReadFile(file, new ConfigurationOverrides(), Environment.GetEnvironmentVariable);
        if (read.Configuration is { } configuration)
            return configuration.Api.Socket;
        Failures.Report(parse, read.Errors);
        return null;
    }
}
