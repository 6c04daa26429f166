namespace Tributary.Demo.Shop;

/// <summary>What shop to generate. The same options give the same rows, to the last column.</summary>
public sealed record ShopOptions
{
    /// <summary>The least that still has a sale for most products and most hours.</summary>
    public const int OrdersMin = 2_000;

    /// <summary>Ten times the default: some 4 GB, beyond which temporary tables no longer fit a small machine.</summary>
    public const int OrdersMax = 3_000_000;

    /// <summary>Orders to aim at; the drawn number differs by under two percent. Default 300,000.</summary>
    public int Orders { get; init; } = 300_000;

    /// <summary>Default 42. Not negative.</summary>
    public int Seed { get; init; } = 42;

    /// <summary>The newest order is just before this moment, the oldest <see cref="Days"/> earlier.</summary>
    public required DateTimeOffset Until { get; init; }

    /// <summary>Days of history. Default 120.</summary>
    public int Days { get; init; } = 120;

    /// <summary>Products; at least 1,900 so that SKU-7891 exists. Default 2,400.</summary>
    public int Products { get; init; } = 2_400;

    /// <summary>
    /// Orders that will have arrived, faster than the history's pace, when an agent asks about SKU-7891; their share of the excess is laid on top.
    /// Default 2,500: fifty seconds of arrivals at fifty a second.
    /// </summary>
    public int OrdersUntilAsked { get; init; } = 2_500;

    /// <exception cref="ArgumentException">A value lies outside its range; the message names it.</exception>
    public void Validate()
    {
        if (Orders is < OrdersMin or > OrdersMax)
            throw new ArgumentException($"The shop cannot have {Orders:N0} orders: choose from {OrdersMin:N0} to {OrdersMax:N0}.");
        if (Seed < 0)
            throw new ArgumentException($"The seed {Seed} is negative: choose 0 or more.");
        if (OrdersUntilAsked < 0)
            throw new ArgumentException($"The orders until the question cannot be {OrdersUntilAsked}: choose 0 or more.");
        if (Days is < 60 or > 730)
            throw new ArgumentException($"The shop cannot have {Days} days of history: choose from 60 to 730.");
        if (Products is < 1_900 or > 9_000)
            throw new ArgumentException($"The shop cannot have {Products:N0} products: choose from 1,900 to 9,000.");
    }
}
