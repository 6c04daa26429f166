using System.CommandLine;
using Tributary.Contracts;
using Tributary.Server;

namespace Tributary.Cli.Commands;

/// <summary><c>tributary down</c>: stops a running server, wherever it was started, and waits for its end.</summary>
static class DownCommand
{
    static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(50);

    public static Command Build()
    {
        var command = new Command("down", "Stop the running server as Ctrl-C does, and wait until all of it has ended. Branches stay, asleep") { SharedOptions.Output };
        command.AddServerOptions();
        command.SetAction(RunAsync);
        return command.WithExamples("tributary down", "tributary down -c /etc/tributary.yaml");
    }

    static async Task<int> RunAsync(ParseResult parse, CancellationToken cancellationToken)
    {
        using var client = ServerFinder.Find(parse);
        if (client is null)
            return ExitCodes.Usage;
        var answer = await client.StopAsync(cancellationToken);
        if (!answer.Succeeded)
            return Failures.Report(parse, answer.Problem);
        if (!await HasEndedAsync(answer.Value.StateDirectory, cancellationToken))
        {
            Failures.Write(parse, $"the server, pid {answer.Value.ProcessId}, has not stopped within {CommandLineRoot.StopLimit.TotalSeconds:0} s", "its log says what it waits for; 'tributary down' again waits on");
            return ExitCodes.Failed;
        }

        ServerCommand.Print(parse, answer.Value, static json => json.StopResponse, Write);
        return ExitCodes.Ok;
    }

    // The folder's lock is the last thing that a server lets go of.
    static async Task<bool> HasEndedAsync(string stateDirectory, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(CommandLineRoot.StopLimit, TimeProvider.System);
        using var timer = new PeriodicTimer(PollInterval, TimeProvider.System);
        while (StateLock.IsHeld(stateDirectory))
        {
            if (limit.IsCancellationRequested)
                return false;
            await timer.WaitForNextTickAsync(cancellationToken);
        }

        return true;
    }

    static void Write(StopResponse stopped, TextWriter output)
    {
        output.WriteLine($"tributary has stopped (pid {stopped.ProcessId}); its branches stay in {stopped.StateDirectory}");
        output.WriteLine("production keeps its log for main until it runs again: tributary up --detach; or remove all of it: tributary destroy");
    }
}
