using System.CommandLine;
using System.CommandLine.Completions;

namespace Tributary.Cli;

/// <summary>The argument that names an existing branch.</summary>
static class BranchArguments
{
    /// <summary>A server answers within milliseconds; one that is stuck must not hold a shell for longer than a person waits.</summary>
    static readonly TimeSpan CompletionLimit = TimeSpan.FromSeconds(2);

    public static readonly Argument<string> Existing = new("name") { Description = "The branch" };

    static BranchArguments() => Existing.CompletionSources.Add(NamesFromServer);

    static IEnumerable<CompletionItem> NamesFromServer(CompletionContext context)
    {
        using var client = ServerFinder.Find(context.ParseResult);
        using var limit = new CancellationTokenSource(CompletionLimit);
        try
        {
            var list = client?.ListBranchesAsync(limit.Token).GetAwaiter().GetResult();
            return list?.Value?.Branches.Select(branch => new CompletionItem(branch.Name)) ?? [];
        }
        catch (OperationCanceledException)
        {
            return [];
        }
    }
}
