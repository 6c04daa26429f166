namespace Tributary.Demo.Agents;

/// <summary>
/// Expected stock on Friday, at a price, with an interval.
/// <list type="number">
/// <item>Elasticity: fitted on the product's own price periods and drawn toward its category's (<see cref="ElasticityFit"/>).</item>
/// <item>Traffic: the shop's orders by weekday and hour, averaged over the last four whole weeks, summed from now until Friday.</item>
/// <item>Level: the product's units an order in those weeks, moved to a reference price by the elasticity.</item>
/// <item>Dispersion: Pearson's statistic of the product's daily units, at least 1.</item>
/// <item>Simulation: draws of elasticity (normal), level and traffic (log-normal), and units (negative binomial with the dispersion);
/// stock is never below zero. Quantiles and chances are read from the draws. Both prices share each draw's parameters, so that their difference is not blurred.</item>
/// </list>
/// </summary>
sealed class ForecastModel
{
    const int RecentDays = 28;
    const int Draws = 2_000;

    readonly ProductState _product;
    readonly double _level;
    readonly double _levelVariance;
    readonly double _trafficVariance;
    readonly double _dispersion;

    /// <param name="history">The state before any change; its price is the reference.</param>
    public ForecastModel(DemandHistory history, DateTimeOffset now)
    {
        _product = history.Product;
        Friday = ComingFriday.EndAfter(now);
        var cumulative = CumulativeOrders(history);
        double OrdersIn(DateTimeOffset from, DateTimeOffset until) => OrdersUntil(history, cumulative, until) - OrdersUntil(history, cumulative, from);

        // Step 1: elasticity.
        var points = history.Periods.GroupBy(period => period.ProductId).ToDictionary(
            group => group.Key,
            group => (IReadOnlyList<PricePoint>)[.. group.Select(period => new PricePoint(Math.Log(period.Price), period.Units, OrdersIn(period.From, period.Until)))]);
        OwnElasticity = ElasticityFit.Fit(points.TryGetValue(_product.Id, out var own) ? [own] : []);
        CategoryElasticity = ElasticityFit.Fit(points.Values);
        Elasticity = ElasticityFit.Pool(OwnElasticity, CategoryElasticity);

        // Step 2: traffic.
        var recent = Math.Min(RecentDays, history.Days);
        ExpectedOrders = ExpectTraffic(history, recent, now);
        var dailyVariance = DailyTrafficVariance(history, recent);
        var horizonDays = (Friday - now).TotalDays;
        _trafficVariance = dailyVariance / horizonDays;

        // Step 3: level.
        var exposure = DailyExposure(history);
        var recentUnits = history.UnitsByDay.TakeLast(recent).Sum();
        var recentExposure = exposure.TakeLast(recent).Sum();
        // Half a unit keeps the level of a product without a recent sale above zero.
        _level = Math.Max(recentUnits, 0.5) / Math.Max(recentExposure, 1e-9);

        // Step 4: dispersion.
        _dispersion = Dispersion(history.UnitsByDay, exposure);
        _levelVariance = _dispersion / Math.Max(recentUnits, 1) + dailyVariance / recent;
    }

    public DateTimeOffset Friday { get; }

    public Elasticity OwnElasticity { get; }

    public Elasticity CategoryElasticity { get; }

    public Elasticity Elasticity { get; }

    /// <summary>Orders of the whole shop from now until Friday.</summary>
    public double ExpectedOrders { get; }

    public double DispersionOfDailyUnits => _dispersion;

    /// <summary>Step 5: what Friday looks like at <paramref name="price"/>.</summary>
    /// <param name="state">The product as the branch holds it, for its stock and cost.</param>
    public Outlook At(double price, ProductState state)
    {
        // The seed is the product's id, so the same branch gives the same numbers again, and both prices see the same draws.
        var draw = new DemandDraw(state.Id);
        var stocks = new double[Draws];
        double units = 0, sold = 0;
        var cleared = 0;
        var logRatio = Math.Log(price / _product.Price);
        for (var i = 0; i < Draws; i++)
        {
            var elasticity = Elasticity.Value + (Elasticity.IsKnown ? Elasticity.StandardError * draw.Normal() : 0);
            var noise = Math.Sqrt(_levelVariance) * draw.Normal() + Math.Sqrt(_trafficVariance) * draw.Normal();
            var mean = _level * ExpectedOrders * Math.Exp(noise - (_levelVariance + _trafficVariance) / 2 + elasticity * logRatio);
            var demand = draw.Fork(i).NegativeBinomial(mean, _dispersion);
            units += demand;
            sold += Math.Min(demand, state.Stock);
            stocks[i] = Math.Max(0, state.Stock - demand);
            if (demand >= state.Excess)
                cleared++;
        }

        Array.Sort(stocks);
        return new Outlook(
            (decimal)price, units / Draws, Quantile(stocks, 0.1), Quantile(stocks, 0.5), Quantile(stocks, 0.9), (double)cleared / Draws,
            (decimal)Math.Round(price * sold / Draws, 2), (decimal)Math.Round((price - state.Cost) * sold / Draws, 2));
    }

    static double Quantile(double[] sorted, double share) => sorted[(int)(share * (sorted.Length - 1))];

    static double[] CumulativeOrders(DemandHistory history)
    {
        var cumulative = new double[history.OrdersByHour.Count + 1];
        for (var i = 0; i < history.OrdersByHour.Count; i++)
            cumulative[i + 1] = cumulative[i] + history.OrdersByHour[i];
        return cumulative;
    }

    // A price may change within an hour; the hour's orders are then shared by time.
    static double OrdersUntil(DemandHistory history, double[] cumulative, DateTimeOffset moment)
    {
        var hours = Math.Clamp((moment - history.FirstHour).TotalHours, 0, history.OrdersByHour.Count);
        var whole = (int)hours;
        return whole == history.OrdersByHour.Count ? cumulative[whole] : cumulative[whole] + (hours - whole) * history.OrdersByHour[whole];
    }

    double ExpectTraffic(DemandHistory history, int recent, DateTimeOffset now)
    {
        // With less than a week of history some weekday has no data; the mean of all hours stands in.
        var sums = new double[7, 24];
        var counts = new int[7, 24];
        var firstHour = history.OrdersByHour.Count - 24 * recent;
        for (var i = firstHour; i < history.OrdersByHour.Count; i++)
        {
            var at = history.FirstHour.AddHours(i);
            sums[(int)at.DayOfWeek, at.Hour] += history.OrdersByHour[i];
            counts[(int)at.DayOfWeek, at.Hour]++;
        }

        var plain = history.OrdersByHour.Skip(firstHour).Average();
        var total = 0.0;
        for (var hour = new DateTimeOffset(now.UtcDateTime.Date.AddHours(now.UtcDateTime.Hour), TimeSpan.Zero); hour < Friday; hour = hour.AddHours(1))
        {
            var share = hour < now ? 1 - (now - hour).TotalHours : 1;
            var (sum, count) = (sums[(int)hour.DayOfWeek, hour.Hour], counts[(int)hour.DayOfWeek, hour.Hour]);
            total += share * (count == 0 ? plain : sum / count);
        }

        return total;
    }

    static double DailyTrafficVariance(DemandHistory history, int recent)
    {
        var days = Enumerable.Range(history.Days - recent, recent)
            .Select(day => (history.FirstHour.AddDays(day).DayOfWeek, Orders: history.OrdersByHour.Skip(24 * day).Take(24).Sum())).ToList();
        if (recent < 14)
            return 0.01;
        var means = days.GroupBy(day => day.DayOfWeek).ToDictionary(group => group.Key, group => Math.Max(group.Average(day => day.Orders), 1));
        return days.Sum(day => Math.Pow(day.Orders / means[day.DayOfWeek] - 1, 2)) / (recent - 7);
    }

    // Orders of each day, moved to the reference price: a day at a price that sells twice as well counts double.
    double[] DailyExposure(DemandHistory history)
    {
        var periods = history.Periods.Where(period => period.ProductId == _product.Id).ToList();
        return
        [
            .. Enumerable.Range(0, history.Days).Select(day =>
            {
                var noon = history.FirstHour.AddDays(day).AddHours(12);
                var price = periods.LastOrDefault(period => period.From <= noon)?.Price ?? _product.Price;
                return history.OrdersByHour.Skip(24 * day).Take(24).Sum() * Math.Pow(price / _product.Price, Elasticity.Value);
            }),
        ];
    }

    static double Dispersion(IReadOnlyList<double> units, double[] exposure)
    {
        var level = units.Sum() / Math.Max(exposure.Sum(), 1e-9);
        var days = units.Zip(exposure, (observed, orders) => (Observed: observed, Expected: level * orders)).Where(day => day.Expected > 0).ToList();
        return days.Count < 8 ? 1 : Math.Max(1, days.Sum(day => Math.Pow(day.Observed - day.Expected, 2) / day.Expected) / (days.Count - 1));
    }
}
