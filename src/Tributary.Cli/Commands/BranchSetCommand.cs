using System.CommandLine;
using Tributary.Cli.Output;
using Tributary.Contracts;

namespace Tributary.Cli.Commands;

/// <summary><c>tributary branch set</c></summary>
static class BranchSetCommand
{
    static readonly BranchPolicyOptions Policy = new();

    public static Command Build()
    {
        var command = new Command("set", "Change a branch's owner, labels, time to live, durability or settings; 'key=' takes a label or setting away") { BranchArguments.Existing };
        Policy.AddTo(command);
        return command.AskingServer<BranchResponse>(
            static (client, parse, cancellationToken) => client.UpdateBranchAsync(parse.GetRequiredValue(BranchArguments.Existing), Policy.Of(parse), cancellationToken),
            static json => json.BranchResponse, BranchText.One)
            .WithExamples("tributary branch set agent-42 --ttl 2d --ttl-from-use", "tributary branch set agent-42 --label team= --set work_mem=64MB");
    }
}
