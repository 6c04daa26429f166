using System.CommandLine;
using Tributary.Cli.Output;
using Tributary.Contracts;

namespace Tributary.Cli.Commands;

/// <summary><c>tributary branch list</c></summary>
static class BranchListCommand
{
    static readonly Option<bool> Deleted = new("--deleted") { Description = "Those that can be restored instead" };

    static readonly Option<string?> Owner = new("--owner") { Description = "Only those of this owner", HelpName = "name" };

    static readonly Option<string?> Label = new("--label") { Description = "Only those with this label, or with this value of it", HelpName = "key[=value]" };

    public static Command Build() => new Command("list", "Show all branches") { Deleted, Owner, Label }
        .AskingServer<BranchListResponse>(
            static async (client, parse, cancellationToken) =>
            {
                var answer = parse.GetValue(Deleted) ? await client.ListDeletedBranchesAsync(cancellationToken) : await client.ListBranchesAsync(cancellationToken);
                return answer.Value is { } list ? answer with { Value = new BranchListResponse([.. list.Branches.Where(branch => IsMeant(branch, parse))]) } : answer;
            },
            static json => json.BranchListResponse, BranchText.List)
        .WithExamples("tributary branch list", "tributary branch list --owner ann --label team=pricing", "tributary branch list -o json | jq -r '.branches[].name'");

    static bool IsMeant(BranchResponse branch, ParseResult parse)
    {
        if (parse.GetValue(Owner) is { } owner && branch.Owner != owner)
            return false;
        return parse.GetValue(Label)?.Split('=', 2) is not [var key, .. var value]
            || (branch.Labels.TryGetValue(key, out var found) && (value.Length == 0 || value[0] == found));
    }
}
