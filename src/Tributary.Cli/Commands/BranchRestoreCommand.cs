using System.CommandLine;
using Tributary.Cli.Output;
using Tributary.Contracts;

namespace Tributary.Cli.Commands;

/// <summary><c>tributary branch restore</c></summary>
static class BranchRestoreCommand
{
    static readonly Argument<string> Deleted = new("name") { Description = "The name that the branch had; 'tributary branch list --deleted' shows all" };

    static readonly Option<string?> As = new("--as") { Description = "Another name, when the old one is taken", HelpName = "name" };

    public static Command Build() => new Command("restore", "Bring back a branch that was deleted a while ago") { Deleted, As }
        .AskingServer<BranchResponse>(
            static (client, parse, cancellationToken) => client.RestoreBranchAsync(parse.GetRequiredValue(Deleted), parse.GetValue(As), cancellationToken),
            static json => json.BranchResponse, BranchText.One)
        .WithExamples("tributary branch restore agent-42", "tributary branch restore agent-42 --as agent-42-again");
}
