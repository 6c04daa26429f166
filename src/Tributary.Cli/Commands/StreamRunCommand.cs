using System.CommandLine;
using Microsoft.Extensions.Logging;
using Tributary.Cli.Output;
using Tributary.Contracts;
using Tributary.Server;
using Tributary.Server.Hosting;

namespace Tributary.Cli.Commands;

/// <summary><c>tributary stream run</c>: one stream in the foreground, without a server.</summary>
static class StreamRunCommand
{
    static readonly Option<string?> MetricsAddress = new("--metrics-address")
    {
        Description = "Serve metrics for Prometheus at http://ADDRESS/metrics while it runs, for example 127.0.0.1:9464",
        HelpName = "address:port",
    };

    public static Command Build()
    {
        var command = new Command("run", "Run one stream here until Ctrl-C: the existing rows first, then every change") { MetricsAddress };
        command.AddStreamOptions();
        command.SetAction(RunAsync);
        return command.WithExamples(
            "tributary stream run --source postgresql://postgres@127.0.0.1:5432/shop --target postgresql://postgres@127.0.0.1:5433/shop",
            "tributary stream run --source … --target … --name audit",
            "tributary stream run --source … --to stdout --name audit | jq -c 'select(.table == \"orders\") | .new'",
            "tributary stream run -c tributary.yaml replica --metrics-address 127.0.0.1:9464");
    }

    static async Task<int> RunAsync(ParseResult parse, CancellationToken cancellationToken)
    {
        var (selected, code) = StreamSelection.Read(parse);
        if (selected is null)
            return code;
        var telemetry = selected.Telemetry;
        if (parse.GetValue(MetricsAddress) is { } address)
        {
            if (TelemetryConfiguration.ReadAddress(address) is not { } endPoint)
                return Failures.Usage(parse, $"--metrics-address: '{address}' is not an address and port, for example 127.0.0.1:9464");
            telemetry = telemetry with { MetricsListen = endPoint };
        }

        var lines = selected.Stream.Target is StdoutTargetConfiguration;
        using var output = lines ? StandardOutput.Open() : null;
        using var loggerFactory = StderrLogging.Create(parse.InvocationConfiguration.Error, LogLevel.Warning);
        var runner = new StreamRunner(selected.Source, selected.Stream, TimeProvider.System, loggerFactory, output);
        var check = await runner.CheckAsync(cancellationToken);
        if (!check.Passed)
            return StreamCheckCommand.Refuse(parse, check);

        // Ctrl-C is the way to end a stream: what the target holds is durable, and the next run goes on from there.
        var run = runner.RunAsync(telemetry, cancellationToken);
        await StreamProgress.ShowAsync(() => runner.Status, run, TimeProvider.System);
        if (await run is { } failure)
            return Failures.Report(parse, failure);
        // Where the changes go, nothing else does.
        ServerCommand.Print(
            parse, runner.Status with { State = PartState.Stopped }, static json => json.StreamStatusResponse, WriteEnd,
            lines ? parse.InvocationConfiguration.Error : parse.InvocationConfiguration.Output);
        return ExitCodes.Ok;
    }

    static void WriteEnd(StreamStatusResponse stream, TextWriter output) => output.WriteLine(
        $"{stream.Name}: {stream.RowsCopied:N0} rows copied, {stream.ChangesApplied:N0} changes applied, confirmed to {stream.ConfirmedLsn ?? "nothing yet"}");
}
