using System.CommandLine;
using Tributary.Cli.Output;
using Tributary.Contracts;

namespace Tributary.Cli.Commands;

/// <summary><c>tributary branch get</c></summary>
static class BranchGetCommand
{
    public static Command Build() => new Command("get", "Show one branch: its data's age, its size, how to enter it") { BranchArguments.Existing }
        .AskingServer<BranchResponse>(
            static (client, parse, cancellationToken) => client.GetBranchAsync(parse.GetRequiredValue(BranchArguments.Existing), cancellationToken), static json => json.BranchResponse, BranchText.One)
        .WithExamples("tributary branch get agent-42", "tributary branch get agent-42 -o json | jq -r .url");
}
