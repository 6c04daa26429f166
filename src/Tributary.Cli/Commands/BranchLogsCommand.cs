using System.CommandLine;

namespace Tributary.Cli.Commands;

/// <summary><c>tributary branch logs</c></summary>
static class BranchLogsCommand
{
    static readonly Option<bool> Follow = new("--follow", "-f") { Description = "Go on with what comes, until the branch is deleted or Ctrl-C" };

    static readonly Option<int> Lines = new("--lines", "-n") { Description = "How many of the last lines", DefaultValueFactory = static _ => 100, HelpName = "n" };

    public static Command Build()
    {
        var command = new Command("logs", "Show the log of a branch's Postgres") { BranchArguments.Existing, Follow, Lines };
        command.AddServerOptions();
        command.SetAction(RunAsync);
        return command.WithExamples("tributary branch logs agent-42", "tributary branch logs agent-42 -f -n 20", "tributary branch logs agent-42 -n 100000 | grep ERROR");
    }

    static async Task<int> RunAsync(ParseResult parse, CancellationToken cancellationToken)
    {
        using var client = ServerFinder.Find(parse);
        if (client is null)
            return ExitCodes.Usage;
        var answer = await client.OpenBranchLogAsync(parse.GetRequiredValue(BranchArguments.Existing), parse.GetValue(Lines), parse.GetValue(Follow), cancellationToken);
        if (!answer.Succeeded)
            return Failures.Report(parse, answer.Problem);
        await using var log = answer.Value;
        using var reader = new StreamReader(log);
        var output = parse.InvocationConfiguration.Output;
        var buffer = new char[8192];
        int read;
        while ((read = await reader.ReadAsync(buffer, cancellationToken)) > 0)
        {
            await output.WriteAsync(buffer.AsMemory(0, read), cancellationToken);
            await output.FlushAsync(cancellationToken);
        }

        return ExitCodes.Ok;
    }
}
