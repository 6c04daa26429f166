using System.CommandLine;
using Microsoft.Extensions.Logging;
using Tributary.Cli.Output;
using Tributary.Contracts;
using Tributary.Contracts.Client;
using Tributary.Server.Configuration;
using Tributary.Server.Hosting;

namespace Tributary.Cli.Commands;

/// <summary><c>tributary up</c>: the server, in the foreground, until Ctrl-C or SIGTERM.</summary>
static class UpCommand
{
    static readonly Option<string> LogLevelOption = new("--log-level") { Description = "debug, information, warning or error", DefaultValueFactory = static _ => "information", HelpName = "level" };

    public static Command Build()
    {
        LogLevelOption.AcceptOnlyFromAmong("debug", "information", "warning", "error");
        var command = new Command("up", "Run streaming, branching, the gateway and the API in this process, until Ctrl-C")
        {
            UpOptions.Source, UpOptions.Replica, UpOptions.State, UpOptions.Listen, UpOptions.NoBranching, LogLevelOption, SharedOptions.Output,
        };
        command.AddServerOptions();
        command.SetAction(RunAsync);
        return command.WithExamples(
            "sudo tributary up --source postgresql://postgres@127.0.0.1:5432/shop",
            "sudo tributary up --source postgresql://…/shop --replica postgresql://…/shop_copy",
            "sudo tributary up -c /etc/tributary.yaml");
    }

    static async Task<int> RunAsync(ParseResult parse, CancellationToken cancellationToken)
    {
        var file = ServerFinder.ConfigFile(parse);
        if (file is null && parse.GetValue(UpOptions.Source) is null && Environment.GetEnvironmentVariable("TRIBUTARY_SOURCE_URL") is not { Length: > 0 })
            return Failures.Usage(parse, "nothing says what to run", "name production with --source postgresql://user@host:5432/database, or a configuration with -c tributary.yaml");
        var read = ConfigurationReader.ReadFile(file, Overrides(parse, file), Environment.GetEnvironmentVariable);
        if (read.Configuration is not { } configuration)
            return Failures.Report(parse, read.Errors);

        using var loggerFactory = StderrLogging.Create(parse.InvocationConfiguration.Error, Enum.Parse<LogLevel>(parse.GetRequiredValue(LogLevelOption), ignoreCase: true));
        var (host, failure) = await ServerHost.StartAsync(configuration, TimeProvider.System, loggerFactory, cancellationToken);
        if (failure is not null)
            return Failures.Report(parse, failure);
        await using (host)
        {
            await PrintReadyAsync(parse, configuration.Api.Socket, cancellationToken);
            await host!.RunAsync(cancellationToken);
        }

        // Ctrl-C is the way to end a server, so ending by it is success.
        return ExitCodes.Ok;
    }

    static ConfigurationOverrides Overrides(ParseResult parse, string? file) => new()
    {
        Source = parse.GetValue(UpOptions.Source),
        Replica = parse.GetValue(UpOptions.Replica),
        State = parse.GetValue(UpOptions.State),
        GatewayListen = parse.GetValue(UpOptions.Listen),
        ApiSocket = parse.GetValue(SharedOptions.Socket),
        Branching = file is null && !parse.GetValue(UpOptions.NoBranching),
        NoBranching = parse.GetValue(UpOptions.NoBranching),
    };

    // Through the API itself: what is printed proves that it answers.
    static async Task PrintReadyAsync(ParseResult parse, string socket, CancellationToken cancellationToken)
    {
        using var client = new TributaryClient(socket);
        var status = await client.GetStatusAsync(cancellationToken);
        if (status.Succeeded)
            ServerCommand.Print(parse, status.Value, static json => json.StatusResponse, static (value, output) => WriteReady(value, output));
        parse.InvocationConfiguration.Output.Flush();
    }

    static void WriteReady(StatusResponse status, TextWriter output)
    {
        output.WriteLine($"tributary {status.Version} runs; source {status.Source}");
        if (status.Gateway.Port is { } port)
            output.WriteLine($"branches are reached at {status.Gateway.Host}:{port}; make one: tributary branch create");
        foreach (var stream in status.Streams)
            output.WriteLine($"stream {stream.Name} writes to {stream.Target}; watch it: tributary stream status");
        output.WriteLine("Ctrl-C stops it");
    }
}
