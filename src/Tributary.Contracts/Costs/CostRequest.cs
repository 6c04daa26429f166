namespace Tributary.Contracts.Costs;

/// <summary>
/// What the cost of agents with a database each is computed from. Every field has a default, so that an empty request gives the usual
/// table: 50 and 200 agents on 1 TB. The prices are assumptions in the order of a large cloud's list prices, not an offer.
/// </summary>
public sealed record CostRequest
{
    /// <summary>Hours in a month as clouds bill it.</summary>
    public const double HoursPerMonth = 730;

    /// <summary>Share of a database that a branch changes, when no branch was measured: 0.5 %.</summary>
    public const double DeltaShareAssumed = 0.005;

    /// <summary>Seconds to make a branch, when none was measured.</summary>
    public const double BranchCreateSecondsAssumed = 0.1;

    /// <summary>Share of its life in which a branch runs, when no branch was measured: a tenth.</summary>
    public const double ActiveShareAssumed = 0.1;

    /// <summary>Agents at once; one row pair each. Default 50 and 200.</summary>
    public IReadOnlyList<int> Agents { get; init; } = [50, 200];

    /// <summary>Bytes of production. Default 1 TB (10^12).</summary>
    public long DatabaseBytes { get; init; } = 1_000_000_000_000;

    /// <summary>Share of the database that one branch holds alone, 0 to 1. Absent: the measured one, else <see cref="DeltaShareAssumed"/>.</summary>
    public double? DeltaShare { get; init; }

    /// <summary>Seconds from the request to a usable branch. Absent: the measured ones, else <see cref="BranchCreateSecondsAssumed"/>.</summary>
    public double? BranchCreateSeconds { get; init; }

    /// <summary>How fast a dump is taken and restored, indexes included, in MB (10^6 bytes) a second. Default 100.</summary>
    public double RestoreMbPerSecond { get; init; } = 100;

    /// <summary>
    /// Share of the month in which an agent's branch runs, 0 to 1; a sleeping one costs storage only. Absent: the share of their lives in which the
    /// branches that exist have run, else <see cref="ActiveShareAssumed"/>.
    /// </summary>
    public double? ActiveShare { get; init; }

    /// <summary>Virtual CPUs of one agent's database while it runs, the same for both ways. Default 2.</summary>
    public double VcpusPerAgent { get; init; } = 2;

    /// <summary>Virtual CPUs of the follower that branches are cut from; it runs all month. Default 2.</summary>
    public double VcpusFollower { get; init; } = 2;

    /// <summary>Price of a GB (10^9 bytes) of block storage a month. Default 0.08.</summary>
    public double PriceStorageGbMonth { get; init; } = 0.08;

    /// <summary>Price of a virtual CPU an hour, its memory included. Default 0.048.</summary>
    public double PriceVcpuHour { get; init; } = 0.048;

    /// <summary>Shown before an amount; nothing is converted. Default <c>$</c>.</summary>
    public string Currency { get; init; } = "$";
}
