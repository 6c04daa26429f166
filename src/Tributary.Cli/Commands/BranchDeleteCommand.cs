using System.CommandLine;
using Tributary.Contracts;

namespace Tributary.Cli.Commands;

/// <summary><c>tributary branch delete</c></summary>
static class BranchDeleteCommand
{
    static readonly Option<bool> Purge = new("--purge") { Description = "Free its space at once; it cannot be restored then" };

    public static Command Build() => new Command("delete", "Delete a branch with everything in it; its connections are cut") { BranchArguments.Existing, Purge }
        .AskingServer<BranchResponse>(
            static (client, parse, cancellationToken) => client.DeleteBranchAsync(
                parse.GetRequiredValue(BranchArguments.Existing), parse.GetValue(Purge), cancellationToken),
            static json => json.BranchResponse,
            static (branch, output) => output.WriteLine(branch.State == BranchLife.Deleted
                ? $"deleted {branch.Name}; for a while it can be restored: tributary branch restore {branch.Name}"
                : $"deleted {branch.Name}"))
        .WithExamples("tributary branch delete agent-42", "tributary branch delete agent-42 --purge");
}
