using System.CommandLine;
using Tributary.Cli.Output;
using Tributary.Contracts;

namespace Tributary.Cli.Commands;

/// <summary><c>tributary branch reset</c></summary>
static class BranchResetCommand
{
    static readonly Option<string> To = new("--to")
    {
        Description = "What it becomes: its parent as of now, or what it was at its birth",
        HelpName = "parent|birth",
        DefaultValueFactory = static _ => "parent",
    };

    static BranchResetCommand() => To.AcceptOnlyFromAmong("parent", "birth");

    public static Command Build() => new Command("reset", "Throw away what was done in a branch; its name and password stay, its connections are cut") { BranchArguments.Existing, To }
        .AskingServer<BranchResponse>(
            static (client, parse, cancellationToken) => client.ResetBranchAsync(
                parse.GetRequiredValue(BranchArguments.Existing), parse.GetValue(To) == "birth" ? BranchResetTarget.Birth : BranchResetTarget.Parent, cancellationToken),
            static json => json.BranchResponse, BranchText.One)
        .WithExamples("tributary branch reset agent-42", "tributary branch reset agent-42 --to birth");
}
