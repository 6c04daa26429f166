namespace Tributary.Demo.Agents;

/// <summary>Percent change of demand for one percent change of price.</summary>
/// <param name="StandardError">Infinite when the history holds no two prices to compare.</param>
/// <param name="PricePoints">Price periods that the estimate rests on.</param>
public sealed record Elasticity(double Value, double StandardError, int PricePoints)
{
    public bool IsKnown => double.IsFinite(StandardError);
}

/// <summary>One product's price periods as the fit sees them.</summary>
/// <param name="Exposure">Orders of the whole shop in the period: what the product's units are a share of.</param>
readonly record struct PricePoint(double LogPrice, double Units, double Exposure);

/// <summary>
/// The log-linear demand model <c>units = level × orders × price^elasticity</c>, fitted as a Poisson regression with one level a product.
/// </summary>
/// <remarks>
/// Ordinary least squares on log(units) cannot hold a period without a sale and is biased when counts are small, as they are in the tail
/// (Santos Silva and Tenreyro, "The Log of Gravity", 2006). The Poisson likelihood has neither fault. Exposure is the orders of the shop in the same hours,
/// so weekday, hour, growth and any rush are accounted for without a term of their own. Given a product's total the levels drop out
/// and one parameter is left, found by Newton's method; the standard error is widened by the overdispersion that the data show.
/// </remarks>
static class ElasticityFit
{
    // Retail goods lie between -5 and 0; the bounds only stop a fit of three sales from running away.
    const double Lowest = -8, Highest = 2;

    // How much products of one category differ from each other, as a standard deviation; it decides how soon a product's own history outweighs the category's.
    const double SpreadWithinCategory = 0.3;

    public static Elasticity Fit(IEnumerable<IReadOnlyList<PricePoint>> products)
    {
        var usable = products.Select(points => points.Where(point => point.Exposure > 0).ToArray())
            .Where(points => points.Length > 1 && points.Sum(point => point.Units) > 0).ToList();
        var points = usable.Sum(product => product.Length);
        var value = -1.5;
        for (var round = 0; round < 50; round++)
        {
            var (score, information, _) = Evaluate(usable, value);
            if (information < 1e-9)
                return new Elasticity(0, double.PositiveInfinity, points);
            var next = Math.Clamp(value + Math.Clamp(score / information, -1, 1), Lowest, Highest);
            if (Math.Abs(next - value) < 1e-9)
                break;
            value = next;
        }

        var (_, final, chiSquare) = Evaluate(usable, value);
        var freedom = points - usable.Count - 1;
        var dispersion = freedom > 0 ? Math.Max(1, chiSquare / freedom) : 1;
        return new Elasticity(value, Math.Sqrt(dispersion / final), points);
    }

    /// <summary>A product's own estimate drawn toward its category's by their precisions; with too few own price points it is the category's.</summary>
    public static Elasticity Pool(Elasticity own, Elasticity category)
    {
        if (!category.IsKnown)
            return own;
        var categoryVariance = category.StandardError * category.StandardError + SpreadWithinCategory * SpreadWithinCategory;
        if (!own.IsKnown)
            return category with { StandardError = Math.Sqrt(categoryVariance) };
        var ownPrecision = 1 / (own.StandardError * own.StandardError);
        var categoryPrecision = 1 / categoryVariance;
        var precision = ownPrecision + categoryPrecision;
        return new Elasticity((own.Value * ownPrecision + category.Value * categoryPrecision) / precision, Math.Sqrt(1 / precision), own.PricePoints);
    }

    static (double Score, double Information, double ChiSquare) Evaluate(List<PricePoint[]> products, double elasticity)
    {
        double score = 0, information = 0, chiSquare = 0;
        foreach (var points in products)
        {
            double units = 0, weights = 0, first = 0, second = 0;
            // Prices are taken relative to the first, so that the exponential stays near one.
            var origin = points[0].LogPrice;
            foreach (var point in points)
            {
                var x = point.LogPrice - origin;
                var weight = point.Exposure * Math.Exp(elasticity * x);
                units += point.Units;
                weights += weight;
                first += weight * x;
                second += weight * x * x;
                score += point.Units * x;
            }

            var mean = first / weights;
            score -= units * mean;
            information += units * (second / weights - mean * mean);
            foreach (var point in points)
            {
                var expected = units * point.Exposure * Math.Exp(elasticity * (point.LogPrice - origin)) / weights;
                chiSquare += (point.Units - expected) * (point.Units - expected) / expected;
            }
        }

        return (score, information, chiSquare);
    }
}
