using System.Text.Json.Serialization;

namespace Tributary.Contracts.Costs;

/// <summary>The cost table and all that it was computed from.</summary>
/// <param name="Assumptions">The request with its gaps filled.</param>
/// <param name="DeltaShareOrigin">Where the delta share comes from.</param>
/// <param name="BranchCreateOrigin">Where the time to make a branch comes from.</param>
/// <param name="ActiveShareOrigin">Where the share of the time in which a branch runs comes from.</param>
/// <param name="Rows">For each number of agents: dump and restore, then branching.</param>
/// <param name="Accounts">What branches use and have used, an owner each; empty without a server.</param>
public sealed record CostResponse(
    CostRequest Assumptions, FigureOrigin DeltaShareOrigin, FigureOrigin BranchCreateOrigin, FigureOrigin ActiveShareOrigin,
    IReadOnlyList<CostRow> Rows, IReadOnlyList<CostAccount> Accounts);

/// <summary>Figures that a server has measured on its branches; each is absent where there was nothing to measure.</summary>
/// <param name="DeltaShare">Share of a branch's bytes that it holds alone.</param>
/// <param name="ActiveShare">Share of their lives in which branches have run.</param>
/// <param name="CreateSeconds">From a request to a usable branch.</param>
public sealed record CostMeasures(double? DeltaShare, double? ActiveShare, double? CreateSeconds)
{
    public static CostMeasures None { get; } = new(null, null, null);

    /// <summary>What branches use and have used, an owner each, without prices.</summary>
    public IReadOnlyList<CostAccount> Accounts { get; init; } = [];
}

/// <summary>What the branches of one owner have used, those that are deleted among them.</summary>
/// <param name="Owner">Absent: branches without an owner.</param>
/// <param name="Branches">Those that exist.</param>
/// <param name="ExclusiveBytes">What these hold alone now.</param>
/// <param name="RunSeconds">How long the servers of all have run.</param>
/// <param name="CpuSeconds">Processor time of the servers of all.</param>
/// <param name="Connections">Connections of clients to all.</param>
/// <param name="ByteSeconds">The bytes of those that exist as they are now, each for as long as its branch exists.</param>
/// <param name="Cost">What that is worth: the time run at the price of a vCPU-hour, and the bytes for as long as the branches exist.</param>
public sealed record CostAccount(
    string? Owner, int Branches, long ExclusiveBytes, double RunSeconds, double CpuSeconds, long Connections, double ByteSeconds, double Cost = 0)
{
    /// <summary>Those that are deleted.</summary>
    public int DeletedBranches { get; init; }
}

/// <param name="StorageGb">GB (10^9 bytes) held all month.</param>
/// <param name="VcpuHours">Hours of virtual CPUs a month.</param>
/// <param name="CreateSeconds">From an agent's request to its database.</param>
public sealed record CostRow(
    int Agents, CostMethod Method, double StorageGb, double StorageCost, double VcpuHours, double ComputeCost, double CreateSeconds)
{
    /// <summary>A month, storage and compute.</summary>
    public double TotalCost => StorageCost + ComputeCost;
}

[JsonConverter(typeof(CamelCaseName<CostMethod>))]
public enum CostMethod
{
    /// <summary>A full copy an agent, restored from a dump, on its own running server.</summary>
    DumpRestore,

    /// <summary>A copy-on-write branch an agent, running only while it is used.</summary>
    Branching,
}

[JsonConverter(typeof(CamelCaseName<FigureOrigin>))]
public enum FigureOrigin
{
    /// <summary>Nothing was measured and nothing given: a default.</summary>
    Assumed,
    Given,
    Measured,
}
