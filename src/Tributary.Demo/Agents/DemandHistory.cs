namespace Tributary.Demo.Agents;

/// <summary>What the forecast knows; read from a branch by <see cref="DemandHistoryReader"/>, or made up by a test.</summary>
/// <param name="FirstHour">The start of the first entry of <paramref name="OrdersByHour"/>; midnight UTC.</param>
/// <param name="OrdersByHour">All orders of the shop, hour by hour, whole days only. Today is left out: it is not over.</param>
/// <param name="Periods">Every price period of every product of the category, in order of time within a product.</param>
/// <param name="UnitsByDay">Units of the product itself, one entry for each day of <paramref name="OrdersByHour"/>.</param>
sealed record DemandHistory(
    ProductState Product, DateTimeOffset FirstHour, IReadOnlyList<double> OrdersByHour, IReadOnlyList<PricePeriod> Periods, IReadOnlyList<double> UnitsByDay)
{
    public DateTimeOffset End => FirstHour.AddHours(OrdersByHour.Count);

    public int Days => OrdersByHour.Count / 24;
}

/// <param name="Price">What a unit costs the customer at this moment in this branch.</param>
sealed record ProductState(int Id, string Sku, string Name, int CategoryId, double Price, double Cost, int Stock, int TargetStock)
{
    public int Excess => Math.Max(0, Stock - TargetStock);
}

/// <param name="Until">Exclusive; the end of the history for the last period.</param>
sealed record PricePeriod(int ProductId, double Price, DateTimeOffset From, DateTimeOffset Until, double Units);
