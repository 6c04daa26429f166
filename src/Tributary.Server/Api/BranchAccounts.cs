using Tributary.Branching;
using Tributary.Contracts.Costs;

namespace Tributary.Server.Api;

/// <summary>What the branches that exist have used, as the figures that costs are computed from.</summary>
static class BranchAccounts
{
    // A branch that is a minute old runs since its creation; its share of time says nothing about how it will be used.
    static readonly TimeSpan AgeMin = TimeSpan.FromMinutes(1);

    public static async Task<CostMeasures> MeasureAsync(BranchingPart part, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var branches = part.Manager.List();
        var bytes = branches.Count > 0 ? (await part.Manager.MeasureAsync(cancellationToken)).Branches : null;
        var total = bytes?.Values.Sum(branch => branch.TotalBytes) ?? 0;
        var grown = branches.Where(branch => now - branch.CreatedAt >= AgeMin).ToList();
        return new CostMeasures(
            total == 0 ? null : Math.Min(1, bytes!.Values.Sum(branch => branch.ExclusiveBytes) / (double)total),
            grown.Count == 0 ? null : Math.Min(1, grown.Sum(branch => branch.Usage.RunTime.TotalSeconds) / grown.Sum(branch => (now - branch.CreatedAt).TotalSeconds)),
            part.CreateTimes.Median()?.TotalSeconds)
        {
            Accounts = [.. branches.GroupBy(static branch => branch.Policy.Owner).OrderBy(static owner => owner.Key, StringComparer.Ordinal).Select(owner => Account(owner, bytes!, now))],
        };
    }

    static CostAccount Account(IGrouping<string?, Branch> owner, IReadOnlyDictionary<string, BranchUsage> bytes, DateTimeOffset now)
    {
        return new CostAccount(
            owner.Key, owner.Count(), owner.Sum(Exclusive), owner.Sum(static branch => branch.Usage.RunTime.TotalSeconds),
            owner.Sum(static branch => branch.Usage.CpuTime.TotalSeconds), owner.Sum(static branch => branch.Usage.Connections),
            owner.Sum(branch => Exclusive(branch) * (now - branch.CreatedAt).TotalSeconds));

        // One that was made since the measurement has none yet.
        long Exclusive(Branch branch) => bytes.GetValueOrDefault(branch.Name.ToString())?.ExclusiveBytes ?? 0;
    }
}
