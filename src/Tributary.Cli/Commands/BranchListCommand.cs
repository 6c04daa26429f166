using System.CommandLine;
using Tributary.Cli.Output;
using Tributary.Contracts;

namespace Tributary.Cli.Commands;

/// <summary><c>tributary branch list</c></summary>
static class BranchListCommand
{
    public static Command Build() => new Command("list", "Show all branches")
        .AskingServer<BranchListResponse>(static (client, _, cancellationToken) => client.ListBranchesAsync(cancellationToken), static json => json.BranchListResponse, BranchText.List)
        .WithExamples("tributary branch list", "tributary branch list -o json | jq -r '.branches[].name'");
}
