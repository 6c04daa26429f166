using System.Text.Json.Serialization;

namespace Tributary.Contracts.Costs;

/// <summary>The cost table and all that it was computed from.</summary>
/// <param name="Assumptions">The request with its gaps filled.</param>
/// <param name="DeltaShareOrigin">Where the delta share comes from.</param>
/// <param name="BranchCreateOrigin">Where the time to make a branch comes from.</param>
/// <param name="Rows">For each number of agents: dump and restore, then branching.</param>
public sealed record CostResponse(
    CostRequest Assumptions, FigureOrigin DeltaShareOrigin, FigureOrigin BranchCreateOrigin, IReadOnlyList<CostRow> Rows);

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
