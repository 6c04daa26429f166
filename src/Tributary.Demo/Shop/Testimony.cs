namespace Tributary.Demo.Shop;

/// <param name="Rows">The rows that the checksum covers.</param>
/// <param name="Checksum">A sum of 64-bit hashes, in decimal.</param>
public sealed record TableChecksum(string Table, long Rows, string Checksum);

/// <summary>What production was at one moment.</summary>
/// <param name="Orders">All orders then.</param>
/// <param name="NewestOrderId">The checksum of orders covers ids up to this one.</param>
/// <param name="CommittedArrivals">Orders that arrivals had committed at the same moment.</param>
public sealed record Testimony(IReadOnlyList<TableChecksum> Tables, long Orders, long NewestOrderId, long CommittedArrivals);

/// <summary>Two looks at production compared.</summary>
public sealed record WitnessVerdict(Testimony Before, Testimony After)
{
    /// <summary>Orders that arrivals committed between the looks.</summary>
    public long Arrived => After.CommittedArrivals - Before.CommittedArrivals;

    /// <summary>Every order is accounted for: those of the first look, and those that arrived.</summary>
    public bool OrdersReconcile => After.Orders == Before.Orders + Arrived;

    public bool Unchanged => OrdersReconcile && Differences.Count == 0;

    /// <summary>One sentence for each table whose rows are not what they were; empty when all are.</summary>
    public IReadOnlyList<string> Differences =>
    [
        .. Before.Tables.Zip(After.Tables)
            .Where(pair => pair.First != pair.Second)
            .Select(pair => $"{pair.First.Table}: {pair.First.Rows:N0} rows with checksum {pair.First.Checksum} before, {pair.Second.Rows:N0} rows with {pair.Second.Checksum} after."),
    ];
}
