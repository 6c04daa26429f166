using Tributary.Demo.Agents;

namespace Tributary.Demo.Tests.Agents;

/// <summary>A process whose truth is known: steady traffic of 1,000 orders a day, one product with six price periods, overdispersed sales.</summary>
sealed class SimulatedDemand
{
    public static readonly DateTimeOffset Now = new(2026, 3, 17, 9, 0, 0, TimeSpan.Zero);
    const int Days = 120;
    readonly DemandDraw _draw;
    readonly double _elasticity, _unitsADay, _dispersion;

    public SimulatedDemand(int seed, double elasticity, double unitsADay, double dispersion)
    {
        (_elasticity, _unitsADay, _dispersion) = (elasticity, unitsADay, dispersion);
        _draw = new DemandDraw(seed + 1_000);
        var first = new DateTimeOffset(Now.UtcDateTime.Date.AddDays(-Days), TimeSpan.Zero);
        double[] prices = [12, 9, 11, 8, 12.5, 10];
        var orders = Enumerable.Range(0, Days * 24).Select(_ => (double)_draw.Poisson(1000.0 / 24)).ToArray();
        var units = Enumerable.Range(0, Days).Select(day => (double)Sell(prices[day / 20])).ToArray();
        var periods = prices.Select((price, index) => new PricePeriod(
            1, price, first.AddDays(20 * index), first.AddDays(20 * (index + 1)), units.Skip(20 * index).Take(20).Sum())).ToList();
        History = new DemandHistory(new ProductState(1, "SKU-1", "simulated", 1, 10, 6, 2_000, 1_800), first, orders, periods, units);
    }

    public DemandHistory History { get; }

    public int SellUntil(DateTimeOffset friday, double priceRatio)
    {
        var days = (friday - Now).TotalDays;
        return Enumerable.Range(0, (int)days).Sum(_ => Sell(10 * priceRatio)) + _draw.NegativeBinomial((days - (int)days) * Mean(10 * priceRatio), _dispersion);
    }

    int Sell(double price) => _draw.NegativeBinomial(Mean(price), _dispersion);

    double Mean(double price) => _unitsADay * Math.Pow(price / 10, _elasticity);
}
