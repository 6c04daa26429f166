using System.CommandLine;
using Tributary.Cli.Output;
using Tributary.Contracts;

namespace Tributary.Cli.Commands;

/// <summary><c>tributary branch tree</c></summary>
static class BranchTreeCommand
{
    public static Command Build() => new Command("tree", "Show which branch was forked from which")
        .AskingServer<BranchListResponse>(static (client, _, cancellationToken) => client.ListBranchesAsync(cancellationToken), static json => json.BranchListResponse, BranchText.Tree)
        .WithExamples("tributary branch tree", "tributary branch tree -o json | jq '.branches[] | {name, parent}'");
}
