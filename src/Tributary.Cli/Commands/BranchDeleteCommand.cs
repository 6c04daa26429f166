using System.CommandLine;
using Tributary.Contracts;

namespace Tributary.Cli.Commands;

/// <summary><c>tributary branch delete</c></summary>
static class BranchDeleteCommand
{
    public static Command Build() => new Command("delete", "Delete a branch with everything in it; its connections are cut") { BranchArguments.Existing }
        .AskingServer<BranchResponse>(
            static (client, parse, cancellationToken) => client.DeleteBranchAsync(parse.GetRequiredValue(BranchArguments.Existing), cancellationToken), static json => json.BranchResponse,
            static (branch, output) => output.WriteLine($"deleted {branch.Name}"))
        .WithExamples("tributary branch delete agent-42");
}
