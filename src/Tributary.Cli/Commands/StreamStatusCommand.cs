using System.CommandLine;
using System.Text.Json;
using Tributary.Cli.Output;
using Tributary.Contracts;
using Tributary.Contracts.Client;

namespace Tributary.Cli.Commands;

/// <summary><c>tributary stream status</c>: once, or again and again.</summary>
static class StreamStatusCommand
{
    static readonly Option<bool> Watch = new("--watch", "-w") { Description = "Go on until Ctrl-C: in place on a terminal, one after the other in a pipe" };

    static readonly Option<double> Interval = new("--interval")
    {
        Description = "Seconds between two looks, with --watch",
        HelpName = "seconds",
        DefaultValueFactory = static _ => 1,
    };

    static StreamStatusCommand() => Interval.Validators.Add(static result =>
    {
        if (result.GetValueOrDefault<double>() is not (>= 0.1 and <= 3600))
            result.AddError("--interval takes 0.1 to 3600 seconds");
    });

    public static Command Build()
    {
        var command = new Command("status", "Show the streams of the running server: phase, positions, lag, what is in flight") { Watch, Interval, SharedOptions.Output };
        command.AddServerOptions();
        command.SetAction(RunAsync);
        return command.WithExamples(
            "tributary stream status", "tributary stream status --watch", "tributary stream status -o json | jq '.streams[].lagMsP99'",
            "tributary stream status --watch -o json | jq -c '.streams[] | [.name, .lagBytes]'");
    }

    static async Task<int> RunAsync(ParseResult parse, CancellationToken cancellationToken)
    {
        using var client = ServerFinder.Find(parse);
        if (client is null)
            return ExitCodes.Usage;
        if (!parse.GetValue(Watch))
        {
            var (list, code) = await AskAsync(client, parse, cancellationToken);
            if (list is not null)
                ServerCommand.Print(parse, list, static json => json.StreamListResponse, Write);
            return code;
        }

        try
        {
            return await WatchAsync(client, parse, cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // Ctrl-C is the way to end a watch.
            return ExitCodes.Ok;
        }
    }

    static async Task<int> WatchAsync(TributaryClient client, ParseResult parse, CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromSeconds(parse.GetValue(Interval)), TimeProvider.System);
        var inPlace = !Console.IsOutputRedirected && !SharedOptions.IsJson(parse);
        using var screen = inPlace ? new LiveText(parse.InvocationConfiguration.Output) : null;
        do
        {
            var (list, code) = await AskAsync(client, parse, cancellationToken);
            if (list is null)
                return code;
            if (screen is not null)
                screen.Show(output => Write(list, output));
            else if (SharedOptions.IsJson(parse))
                parse.InvocationConfiguration.Output.WriteLine(JsonSerializer.Serialize(list, ContractsJson.Line.StreamListResponse));
            else
                Write(list, parse.InvocationConfiguration.Output);
            await parse.InvocationConfiguration.Output.FlushAsync(cancellationToken);
        }
        while (await timer.WaitForNextTickAsync(cancellationToken));
        return ExitCodes.Ok;
    }

    static async Task<(StreamListResponse? List, int ExitCode)> AskAsync(TributaryClient client, ParseResult parse, CancellationToken cancellationToken)
    {
        var answer = await client.ListStreamsAsync(cancellationToken);
        return answer.Succeeded ? (answer.Value, ExitCodes.Ok) : (null, Failures.Report(parse, answer.Problem));
    }

    static void Write(StreamListResponse list, TextWriter output) => StatusText.Streams(list.Streams, output);
}
