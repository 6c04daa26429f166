using System.CommandLine;
using Microsoft.Extensions.Logging;
using Tributary.Cli.Output;
using Tributary.Contracts;
using Tributary.Contracts.Client;
using Tributary.Postgres.Programs;
using Tributary.Server;
using Tributary.Server.Configuration;
using Tributary.Server.Hosting;

namespace Tributary.Cli.Commands;

/// <summary><c>tributary up</c>: the server, in the foreground until Ctrl-C or SIGTERM, or in the background until <c>tributary down</c>.</summary>
static class UpCommand
{
    static readonly string[] WaysToDetach = [UpOptions.Detach.Name, .. UpOptions.Detach.Aliases];

    static readonly Option<string> LogLevelOption = new("--log-level") { Description = "debug, information, warning or error", DefaultValueFactory = static _ => "information", HelpName = "level" };

    public static Command Build()
    {
        LogLevelOption.AcceptOnlyFromAmong("debug", "information", "warning", "error");
        var command = new Command("up", "Run streaming, branching, the gateway and the API in this process, until Ctrl-C")
        {
            UpOptions.Source, UpOptions.Replica, UpOptions.State, UpOptions.Listen, UpOptions.NoBranching, UpOptions.Detach, UpOptions.KeptLog, LogLevelOption, SharedOptions.Output,
        };
        command.AddServerOptions();
        command.SetAction(RunAsync);
        return command.WithExamples(
            "sudo tributary up --source postgresql://postgres@127.0.0.1:5432/shop",
            "sudo tributary up --source postgresql://…/shop --replica postgresql://…/shop_copy",
            "sudo tributary up -c /etc/tributary.yaml",
            "sudo tributary up --detach -c /etc/tributary.yaml");
    }

    static async Task<int> RunAsync(ParseResult parse, CancellationToken cancellationToken)
    {
        var file = ServerFinder.ConfigFile(parse);
        if (file is null && !UpOptions.NameSource(parse))
            return Failures.Usage(parse, "nothing says what to run", "name production with --source postgresql://user@host:5432/database, or a configuration with -c tributary.yaml");
        var read = ConfigurationReader.ReadFile(file, Overrides(parse, file), Environment.GetEnvironmentVariable);
        if (read.Configuration is not { } configuration)
            return Failures.Report(parse, read.Errors);

        if (parse.GetValue(UpOptions.Detach))
            return await DetachAsync(parse, configuration, cancellationToken);
        var error = parse.InvocationConfiguration.Error;
        await using var log = parse.GetValue(UpOptions.KeptLog) ? new BoundedErrorOutput(error, new ServerLog(configuration.StateDirectory)) : null;
        using var loggerFactory = StderrLogging.Create(log ?? error, Enum.Parse<LogLevel>(parse.GetRequiredValue(LogLevelOption), ignoreCase: true));
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

    static async Task<int> DetachAsync(ParseResult parse, TributaryConfiguration configuration, CancellationToken cancellationToken)
    {
        if (StateLock.IsHeld(configuration.StateDirectory))
        {
            Failures.Write(parse, $"a server runs on the state folder {configuration.StateDirectory} already", "'tributary status' shows it, 'tributary down' stops it", ProblemCodes.AlreadyRunning);
            return ExitCodes.AlreadyRunning;
        }

        try
        {
            // The same words but the one that leads here: what is given by flags is given to the server itself.
            using var server = await DetachedServer.StartAsync([.. parse.Tokens.Skip(1).Select(token => token.Value).Where(word => !WaysToDetach.Contains(word))], configuration, cancellationToken);
            if (await server.AnswersAsync(cancellationToken) is not { } status)
                return server.ReportEnd(parse.InvocationConfiguration.Error);
            ServerCommand.Print(parse, status, static json => json.StatusResponse, (value, output) => WriteReady(value, $"it logs to {server.LogFile}; tributary down stops it", output));
            return ExitCodes.Ok;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ChildProcessException)
        {
            Failures.Write(parse, $"the server cannot be started in the background: {exception.Message}", "run as root, or name another state folder with --state or 'state:'");
            return ExitCodes.Failed;
        }
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
            ServerCommand.Print(parse, status.Value, static json => json.StatusResponse, static (value, output) => WriteReady(value, "Ctrl-C stops it", output));
        parse.InvocationConfiguration.Output.Flush();
    }

    static void WriteReady(StatusResponse status, string howToStop, TextWriter output)
    {
        output.WriteLine($"tributary {status.Version} runs; {(status.Source is { } source ? $"source {source}" : "main follows no production, and takes dumps: tributary branch import")}");
        if (status.Gateway.Port is { } port)
            output.WriteLine($"branches are reached at {status.Gateway.Host}:{port}; make one: tributary branch create");
        foreach (var stream in status.Streams)
            output.WriteLine($"stream {stream.Name} writes to {stream.Target}; watch it: tributary stream status");
        output.WriteLine(howToStop);
    }
}
