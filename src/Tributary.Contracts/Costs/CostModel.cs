namespace Tributary.Contracts.Costs;

/// <summary>
/// What N agents with a database each cost a month, by dump and restore and by branching. Pure arithmetic:
/// <code>
/// dump/restore  storage = N × database                    compute = N × vCPU × 730 h               time = database ÷ restore rate
/// branching     storage = database + N × delta × database compute = (follower + N × vCPU × active) × 730 h  time = as measured
/// </code>
/// A restored copy runs all month, since starting it on demand is what it lacks; a branch sleeps at no compute between uses.
/// </summary>
public static class CostModel
{
    const double BytesPerGb = 1e9;
    const double BytesPerMb = 1e6;
    const double SecondsPerHour = 3600;

    /// <summary>More rows than this are no table; also the bound of a request.</summary>
    const int AgentCountsMax = 20;

    /// <summary>Answers what is wrong with a request; empty when nothing is.</summary>
    public static IReadOnlyList<string> Validate(CostRequest request)
    {
        var errors = new List<string>();
        Require(request.Agents is { Count: > 0 and <= AgentCountsMax } && request.Agents.All(agents => agents > 0), $"agents: 1 to {AgentCountsMax} numbers above 0");
        Require(request.DatabaseBytes > 0, "database size: above 0");
        Require(request.DeltaShare is null or (>= 0 and <= 1), "delta share: from 0 to 1");
        Require(request.ActiveShare is null or (>= 0 and <= 1), "active share: from 0 to 1");
        Require(request.BranchCreateSeconds is null or >= 0, "branch creation time: not below 0");
        Require(request.RestoreMbPerSecond > 0, "restore speed: above 0");
        Require(request is { VcpusPerAgent: >= 0, VcpusFollower: >= 0 }, "vCPUs: not below 0");
        Require(request is { PriceStorageGbMonth: >= 0, PriceVcpuHour: >= 0 }, "prices: not below 0");
        return errors;

        // NaN fails every comparison, so it is refused with the rest.
        void Require(bool holds, string rule)
        {
            if (!holds)
                errors.Add(rule);
        }
    }

    /// <param name="request">A valid request.</param>
    /// <param name="measured">Used where the request gives no figure.</param>
    public static CostResponse Compute(CostRequest request, CostMeasures measured)
    {
        var filled = request with
        {
            DeltaShare = request.DeltaShare ?? measured.DeltaShare ?? CostRequest.DeltaShareAssumed,
            BranchCreateSeconds = request.BranchCreateSeconds ?? measured.CreateSeconds ?? CostRequest.BranchCreateSecondsAssumed,
            ActiveShare = request.ActiveShare ?? measured.ActiveShare ?? CostRequest.ActiveShareAssumed,
        };
        var rows = filled.Agents.SelectMany(agents => new[] { DumpRestore(filled, agents), Branching(filled, agents) });
        return new CostResponse(
            filled, Origin(request.DeltaShare, measured.DeltaShare), Origin(request.BranchCreateSeconds, measured.CreateSeconds),
            Origin(request.ActiveShare, measured.ActiveShare), [.. rows], [.. measured.Accounts.Select(account => account with { Cost = Worth(account, filled) })]);
    }

    static double Worth(CostAccount account, CostRequest request) =>
        (account.RunSeconds / SecondsPerHour * request.VcpusPerAgent * request.PriceVcpuHour)
        + (account.ByteSeconds / BytesPerGb / (CostRequest.HoursPerMonth * SecondsPerHour) * request.PriceStorageGbMonth);

    static FigureOrigin Origin(double? given, double? measured) =>
        given is not null ? FigureOrigin.Given : measured is not null ? FigureOrigin.Measured : FigureOrigin.Assumed;

    static CostRow DumpRestore(CostRequest request, int agents) => Row(
        request, agents, CostMethod.DumpRestore,
        storageGb: agents * request.DatabaseBytes / BytesPerGb,
        vcpuHours: agents * request.VcpusPerAgent * CostRequest.HoursPerMonth,
        createSeconds: request.DatabaseBytes / (request.RestoreMbPerSecond * BytesPerMb));

    static CostRow Branching(CostRequest request, int agents) => Row(
        request, agents, CostMethod.Branching,
        storageGb: request.DatabaseBytes * (1 + (agents * request.DeltaShare!.Value)) / BytesPerGb,
        vcpuHours: (request.VcpusFollower + (agents * request.VcpusPerAgent * request.ActiveShare!.Value)) * CostRequest.HoursPerMonth,
        createSeconds: request.BranchCreateSeconds!.Value);

    static CostRow Row(CostRequest request, int agents, CostMethod method, double storageGb, double vcpuHours, double createSeconds) => new(
        agents, method, storageGb, storageGb * request.PriceStorageGbMonth, vcpuHours, vcpuHours * request.PriceVcpuHour, createSeconds);
}
