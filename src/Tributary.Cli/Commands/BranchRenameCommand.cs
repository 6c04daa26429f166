using System.CommandLine;
using Tributary.Contracts;

namespace Tributary.Cli.Commands;

/// <summary><c>tributary branch rename</c></summary>
static class BranchRenameCommand
{
    static readonly Argument<string> NewName = new("new name") { Description = "Lower-case letters, digits and hyphens" };

    public static Command Build() => new Command("rename", "Give a branch another name; its password and open connections stay") { BranchArguments.Existing, NewName }
        .AskingServer<BranchResponse>(
            static (client, parse, cancellationToken) => client.UpdateBranchAsync(
                parse.GetRequiredValue(BranchArguments.Existing), new BranchUpdateRequest { Name = parse.GetRequiredValue(NewName) }, cancellationToken),
            static json => json.BranchResponse,
            static (branch, output) => output.WriteLine($"renamed to {branch.Name}; its connection string is now {branch.Url}"))
        .WithExamples("tributary branch rename agent-42 april-prices");
}
