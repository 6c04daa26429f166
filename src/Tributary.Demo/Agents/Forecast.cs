using System.Globalization;

namespace Tributary.Demo.Agents;

/// <summary>A product until Friday at one price.</summary>
/// <param name="ExpectedUnits">What customers would buy, stock aside.</param>
/// <param name="StockP10">Stock on Friday: one time in ten it is at most this.</param>
/// <param name="StockP90">Stock on Friday: nine times in ten it is at most this.</param>
/// <param name="ChanceToClear">That at least the excess is sold, from 0 to 1.</param>
/// <param name="Revenue">Expected, with sales capped by stock.</param>
/// <param name="Margin">Revenue less the cost of what is sold.</param>
public sealed record Outlook(
    decimal Price, double ExpectedUnits, double StockP10, double StockP50, double StockP90, double ChanceToClear, decimal Revenue, decimal Margin);

/// <summary>What the numbers say about a price change.</summary>
public enum PriceVerdict
{
    /// <summary>There is no excess.</summary>
    NothingToClear,

    /// <summary>The excess goes more likely than not at the present price.</summary>
    NotNeeded,

    /// <summary>The excess goes more likely than not, and only with the change.</summary>
    Recommended,

    /// <summary>The excess more likely than not stays, with the change too.</summary>
    NotEnough,
}

/// <summary>A forecast with and without a price change, computed from one branch.</summary>
/// <param name="Friday">The end of the Friday that is meant, midnight UTC.</param>
/// <param name="Elasticity">Pooled from <paramref name="OwnElasticity"/> and <paramref name="CategoryElasticity"/>; what the forecast uses.</param>
/// <param name="ExpectedOrders">Orders of the whole shop until Friday.</param>
public sealed record Forecast(
    string Sku, string Name, int Stock, int TargetStock, DateTimeOffset Friday, Elasticity Elasticity, Elasticity OwnElasticity,
    Elasticity CategoryElasticity, double ExpectedOrders, Outlook Baseline, Outlook Changed)
{
    public int Excess => Math.Max(0, Stock - TargetStock);

    public decimal RevenueEffect => Changed.Revenue - Baseline.Revenue;

    public decimal MarginEffect => Changed.Margin - Baseline.Margin;

    public PriceVerdict Verdict =>
        Excess == 0 ? PriceVerdict.NothingToClear
        : Baseline.ChanceToClear >= 0.5 ? PriceVerdict.NotNeeded
        : Changed.ChanceToClear >= 0.5 ? PriceVerdict.Recommended
        : PriceVerdict.NotEnough;

    /// <summary>The recommendation in words, with the numbers that carry it.</summary>
    public string InWords()
    {
        var facts = string.Create(CultureInfo.InvariantCulture,
            $"{Sku} ({Name}): {Stock:N0} in stock, {Excess:N0} above target. Elasticity {Elasticity.Value:F2} ± {Elasticity.StandardError:F2}. By the end of Friday {Friday.AddDays(-1):d MMMM}: at {Baseline.Price:F2} about {Baseline.ExpectedUnits:F0} sell and {Range(Baseline)} remain (excess cleared with chance {Baseline.ChanceToClear:P0}); at {Changed.Price:F2} about {Changed.ExpectedUnits:F0} sell and {Range(Changed)} remain (chance {Changed.ChanceToClear:P0}). Effect: revenue {RevenueEffect:+#,0.00;-#,0.00;0.00}, margin {MarginEffect:+#,0.00;-#,0.00;0.00}.");
        return $"{Advice()} {facts}";
    }

    static string Range(Outlook outlook) => string.Create(CultureInfo.InvariantCulture, $"{outlook.StockP50:F0} ({outlook.StockP10:F0} to {outlook.StockP90:F0})");

    string Advice() => Verdict switch
    {
        PriceVerdict.NothingToClear => "Leave the price: there is no excess to clear.",
        PriceVerdict.NotNeeded => "Leave the price: the excess clears by itself, and a discount would only cost margin.",
        PriceVerdict.Recommended => "Change the price: it clears the excess, which the present price does not.",
        _ => "Not like this: the change alone does not clear the excess.",
    };
}
