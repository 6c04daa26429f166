using System.CommandLine;
using Tributary.Cli.Programs;

namespace Tributary.Cli.Commands;

/// <summary><c>tributary branch connect</c>: becomes psql, so that terminal, signals and exit code are psql's own.</summary>
static class BranchConnectCommand
{
    static readonly Argument<string[]> PsqlArguments = new("psql arguments")
    {
        Description = "After --, passed to psql as they are",
        Arity = ArgumentArity.ZeroOrMore,
    };

    public static Command Build()
    {
        var command = new Command("connect", "Enter a branch with psql") { BranchArguments.Existing, PsqlArguments };
        command.AddServerOptions();
        command.SetAction(RunAsync);
        return command.WithExamples("tributary branch connect agent-42", "tributary branch connect agent-42 -- -c 'SELECT count(*) FROM orders'");
    }

    static async Task<int> RunAsync(ParseResult parse, CancellationToken cancellationToken)
    {
        using var client = ServerFinder.Find(parse);
        if (client is null)
            return ExitCodes.Usage;
        var answer = await client.GetBranchAsync(parse.GetRequiredValue(BranchArguments.Existing), cancellationToken);
        if (!answer.Succeeded)
            return Failures.Report(parse, answer.Problem);
        if (Psql.Find() is not { } psql)
        {
            Failures.Write(parse, "psql is not installed", "apt-get install postgresql-client, or connect with any driver: 'tributary branch get' shows the URL");
            return ExitCodes.MachineUnsuitable;
        }

        var error = Psql.Become(psql, answer.Value, parse.GetValue(PsqlArguments) ?? []);
        Failures.Write(parse, $"cannot run {psql}: {error}", null);
        return ExitCodes.Failed;
    }
}
