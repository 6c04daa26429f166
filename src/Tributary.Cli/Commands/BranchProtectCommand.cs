using System.CommandLine;
using Tributary.Contracts;

namespace Tributary.Cli.Commands;

/// <summary><c>tributary branch protect</c> and <c>tributary branch unprotect</c></summary>
static class BranchProtectCommand
{
    public static Command Build() => Build("protect", "Let a branch be neither deleted nor reset, also not by its time to live", protect: true);

    public static Command BuildUnprotect() => Build("unprotect", "Let a branch be deleted and reset again", protect: false);

    static Command Build(string name, string description, bool protect) => new Command(name, description) { BranchArguments.Existing }
        .AskingServer<BranchResponse>(
            (client, parse, cancellationToken) => client.UpdateBranchAsync(
                parse.GetRequiredValue(BranchArguments.Existing), new BranchUpdateRequest { Protected = protect }, cancellationToken),
            static json => json.BranchResponse,
            (branch, output) => output.WriteLine($"{branch.Name} is {(branch.Protected ? "protected" : "not protected")}"))
        .WithExamples($"tributary branch {name} agent-42");
}
