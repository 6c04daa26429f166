namespace Tributary.Demo.Shop;

/// <summary>What the generator plants for one category; the agents never see it, they fit it from the orders.</summary>
/// <param name="Elasticity">Percent change of demand for one percent change of price.</param>
/// <param name="TypicalPrice">The middle of the list prices.</param>
sealed record ProductCategory(int Id, string Name, double Elasticity, double TypicalPrice)
{
    /// <summary>SKU-7891 is an espresso machine, so it lives here.</summary>
    public const int HeroCategory = 6;

    public static readonly IReadOnlyList<ProductCategory> All =
    [
        new(1, "Groceries", -0.8, 6), new(2, "Books", -1.1, 16), new(3, "Toys", -1.7, 24), new(4, "Garden", -1.4, 38),
        new(5, "Lighting", -1.6, 45), new(6, "Kitchen", -2.4, 85), new(7, "Audio", -2.2, 120), new(8, "Cameras", -2.0, 310),
        new(9, "Computers", -2.6, 540), new(10, "Phones", -2.8, 420), new(11, "Shoes", -1.9, 70), new(12, "Clothing", -1.8, 40),
        new(13, "Sports", -1.5, 55), new(14, "Health", -0.9, 18), new(15, "Pets", -1.0, 22), new(16, "Office", -1.3, 30),
    ];
}
