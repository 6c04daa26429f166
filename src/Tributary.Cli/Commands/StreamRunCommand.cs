using System.CommandLine;
using Microsoft.Extensions.Logging;
using Tributary.Cli.Output;
using Tributary.Contracts;
using Tributary.Server;
using Tributary.Streaming;
using Tributary.Streaming.Hosting;

namespace Tributary.Cli.Commands;

/// <summary><c>tributary stream run</c>: one stream in the foreground, without a server and without a configuration.</summary>
static class StreamRunCommand
{
    public static Command Build()
    {
        var command = new Command("run", "Run one stream here until Ctrl-C: the existing rows first, then every change") { StreamTargets.Source, StreamTargets.Target, StreamTargets.Name, SharedOptions.Output };
        command.SetAction(RunAsync);
        return command.WithExamples(
            "tributary stream run --source postgresql://postgres@127.0.0.1:5432/shop --target postgresql://postgres@127.0.0.1:5433/shop",
            "tributary stream run --source … --target … --name audit");
    }

    static async Task<int> RunAsync(ParseResult parse, CancellationToken cancellationToken)
    {
        if (StreamTargets.Read(parse) is not { } options)
            return ExitCodes.Usage;
        using var loggerFactory = StderrLogging.Create(parse.InvocationConfiguration.Error, LogLevel.Warning);
        var pipeline = StreamFactory.Create(options, TimeProvider.System, loggerFactory);
        StreamStatusResponse Status(PartState state) => StreamView.Of(pipeline.Status, options.Target.ToString(), state, null);
        var failed = false;
        try
        {
            await StreamProgress.ShowAsync(() => Status(PartState.Running), pipeline.RunAsync(cancellationToken), TimeProvider.System);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // Ctrl-C is the way to end a stream; what the target holds is durable, and the next run goes on from there.
        }
        catch (StreamException exception)
        {
            failed = true;
            Failures.Write(parse, exception.Message, null);
            if (exception.Kind is StreamErrorKind.Source or StreamErrorKind.Target)
                return exception.Kind == StreamErrorKind.Source ? ExitCodes.SourceUnsuitable : ExitCodes.TargetUnsuitable;
        }

        ServerCommand.Print(parse, Status(failed ? PartState.Failed : PartState.Stopped), static json => json.StreamStatusResponse, static (stream, output) =>
            output.WriteLine($"{stream.Name}: {stream.RowsCopied:N0} rows copied, {stream.ChangesApplied:N0} changes applied, confirmed to {stream.ConfirmedLsn ?? "nothing yet"}"));
        return failed ? ExitCodes.Failed : ExitCodes.Ok;
    }
}
