using Tributary.Branching;
using Tributary.Contracts.Costs;

namespace Tributary.Server.Api;

/// <summary>What branches use and have used, as the figures that costs are computed from.</summary>
static class BranchAccounts
{
    // A branch that is a minute old runs since its creation; its share of time says nothing about how it will be used.
    static readonly TimeSpan AgeMin = TimeSpan.FromMinutes(1);

    public static async Task<CostMeasures> MeasureAsync(BranchingPart part, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var branches = part.Manager.List();
        var bytes = branches.Count > 0 ? (await part.Manager.MeasureAsync(whole: true, cancellationToken)).Branches : null;
        var total = bytes?.Values.Sum(branch => branch.TotalBytes) ?? 0;
        var grown = branches.Where(branch => now - branch.CreatedAt >= AgeMin).ToList();
        return new CostMeasures(
            total == 0 ? null : Math.Min(1, bytes!.Values.Sum(branch => branch.ExclusiveBytes) / (double)total),
            grown.Count == 0 ? null : Math.Min(1, grown.Sum(branch => branch.Usage.RunTime.TotalSeconds) / grown.Sum(branch => (now - branch.CreatedAt).TotalSeconds)),
            part.CreateTimes.Median()?.TotalSeconds)
        {
            Accounts = [.. Accounts(branches, part.Manager.DeletedAccounts(), bytes, now)],
        };
    }

    static IEnumerable<CostAccount> Accounts(
        IReadOnlyList<Branch> branches, IReadOnlyDictionary<string, GoneAccount> gone, IReadOnlyDictionary<string, BranchUsage>? bytes, DateTimeOffset now)
    {
        var living = branches.ToLookup(static branch => branch.Policy.Owner ?? "");
        return living.Select(static owner => owner.Key).Union(gone.Keys).Order(StringComparer.Ordinal)
            .Select(owner => Account(owner, [.. living[owner]], gone.GetValueOrDefault(owner, GoneAccount.None), bytes, now));
    }

    static CostAccount Account(string owner, IReadOnlyList<Branch> branches, GoneAccount gone, IReadOnlyDictionary<string, BranchUsage>? bytes, DateTimeOffset now)
    {
        return new CostAccount(
            owner.Length == 0 ? null : owner, branches.Count, branches.Sum(Exclusive), gone.RunSeconds + branches.Sum(static branch => branch.Usage.RunTime.TotalSeconds),
            gone.CpuSeconds + branches.Sum(static branch => branch.Usage.CpuTime.TotalSeconds), gone.Connections + branches.Sum(static branch => branch.Usage.Connections),
            branches.Sum(branch => Exclusive(branch) * (now - branch.CreatedAt).TotalSeconds))
        {
            DeletedBranches = gone.Branches,
        };

        // One that was made since the measurement has none yet.
        long Exclusive(Branch branch) => bytes?.GetValueOrDefault(branch.Name.ToString())?.ExclusiveBytes ?? 0;
    }
}
