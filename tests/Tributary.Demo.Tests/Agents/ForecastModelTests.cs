using Npgsql;
using Tributary.Demo.Agents;
using Tributary.Demo.Shop;

namespace Tributary.Demo.Tests.Agents;

public sealed class ForecastModelTests(GeneratedShop shop)
{
    static readonly DateTimeOffset Now = GeneratedShop.Until;

    [Fact]
    public async Task Fit_recovers_the_planted_elasticity_of_every_category()
    {
        await using var connection = new NpgsqlConnection(shop.ConnectionString);
        await connection.OpenAsync(TestContext.Current.CancellationToken);
        var errors = new List<double>();
        foreach (var category in ProductCategory.All)
        {
            var sku = await shop.ScalarAsync<string>($"SELECT sku FROM products WHERE category_id = {category.Id} ORDER BY target_stock DESC LIMIT 1");
            var history = await DemandHistoryReader.ReadAsync(connection, sku, Now, TestContext.Current.CancellationToken);
            var fit = new ForecastModel(history!, Now).CategoryElasticity;

            TestContext.Current.TestOutputHelper!.WriteLine($"{category.Name}: planted {category.Elasticity}, fitted {fit.Value:F2} ± {fit.StandardError:F2}");
            Assert.InRange(fit.StandardError, 0.01, 0.45);
            Assert.InRange(fit.Value, category.Elasticity - 3.5 * fit.StandardError, category.Elasticity + 3.5 * fit.StandardError);
            errors.Add(fit.Value - category.Elasticity);
        }

        // Errors of sixteen independent fits average out unless the fit is biased.
        Assert.InRange(errors.Average(), -0.15, 0.15);
    }

    [Fact]
    public void Interval_covers_what_a_known_process_then_does()
    {
        const int trials = 200;
        var inside = 0;
        for (var trial = 0; trial < trials; trial++)
        {
            var world = new SimulatedDemand(trial, elasticity: -2, unitsADay: 30, dispersion: 1.6);
            var model = new ForecastModel(world.History, SimulatedDemand.Now);

            var outlook = model.At(world.History.Product.Price * 0.88, world.History.Product);
            var stock = world.History.Product.Stock - world.SellUntil(model.Friday, 0.88);
            if (stock >= outlook.StockP10 && stock <= outlook.StockP90)
                inside++;
        }

        // Nominal 80 %; three standard errors of 200 trials are 8.5 points.
        Assert.InRange(inside / (double)trials, 0.70, 0.90);
    }

    [Fact]
    public void A_lower_price_sells_more_when_demand_is_elastic()
    {
        var world = new SimulatedDemand(1, elasticity: -2, unitsADay: 30, dispersion: 1.2);
        var model = new ForecastModel(world.History, SimulatedDemand.Now);

        var (plain, changed) = (model.At(10, world.History.Product), model.At(8.8, world.History.Product));

        Assert.InRange(changed.ExpectedUnits / plain.ExpectedUnits, Math.Pow(0.88, -1.4), Math.Pow(0.88, -2.6));
        Assert.True(changed.StockP50 < plain.StockP50);
        Assert.True(plain.StockP10 <= plain.StockP50 && plain.StockP50 <= plain.StockP90);
    }

    [Fact]
    public void A_product_that_never_changed_its_price_takes_its_categorys_elasticity()
    {
        var own = ElasticityFit.Fit([[new PricePoint(1, 50, 100)]]);
        var category = new Elasticity(-1.7, 0.1, 40);

        var pooled = ElasticityFit.Pool(own, category);

        Assert.False(own.IsKnown);
        Assert.Equal(-1.7, pooled.Value);
        Assert.True(pooled.StandardError > category.StandardError);
    }

    [Fact]
    public void Fit_is_exact_without_noise()
    {
        PricePoint At(double price) => new(Math.Log(price), 1000 * Math.Pow(price, -1.3), 1000);

        Assert.Equal(-1.3, ElasticityFit.Fit([[At(8), At(10), At(12)], [At(20), At(30)]]).Value, 6);
    }

    [Theory]
    [InlineData("2026-03-18T15:30:00Z", "2026-03-28T00:00:00Z")] // Wednesday: the Friday in two days is too near.
    [InlineData("2026-03-17T10:00:00Z", "2026-03-21T00:00:00Z")] // Tuesday
    [InlineData("2026-03-20T10:00:00Z", "2026-03-28T00:00:00Z")] // Friday
    public void Coming_friday_leaves_the_price_three_days(string now, string end) =>
        Assert.Equal(DateTimeOffset.Parse(end), ComingFriday.EndAfter(DateTimeOffset.Parse(now)));
}
