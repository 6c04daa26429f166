namespace Tributary.Demo.Agents;

/// <summary>
/// The side where agents ask what happens now: fed by the stream, so production never sees their questions.
/// A Postgres replica answers today; a search index can.
/// </summary>
public interface IFreshData
{
    /// <summary>What sold best in the last hour, most units first.</summary>
    /// <param name="count">At most this many items.</param>
    Task<BestSellers> BestSellersAsync(int count, CancellationToken cancellationToken);

    /// <summary>Price and stock of one product; null when the SKU is unknown.</summary>
    Task<ProductFacts?> FindProductAsync(string sku, CancellationToken cancellationToken);
}

/// <param name="NewestOrderAt">Null when there is no order at all.</param>
/// <param name="Age">How old the newest order is, by this machine's clock.</param>
public sealed record BestSellers(IReadOnlyList<BestSeller> Items, DateTimeOffset? NewestOrderAt, TimeSpan? Age);

public sealed record BestSeller(string Sku, string Name, long Units, decimal Revenue);

/// <param name="TargetStock">What the shop wants to hold; stock above it is excess.</param>
public sealed record ProductFacts(string Sku, string Name, string Category, decimal Price, int Stock, int TargetStock)
{
    public int Excess => Math.Max(0, Stock - TargetStock);
}
