namespace Tributary.Demo.Agents;

/// <summary>Seeded draws from the distributions that the forecast needs.</summary>
sealed class DemandDraw(int seed)
{
    readonly Random _random = new(seed);

    /// <summary>A stream of its own for one draw: counts use a varying number of random numbers, and must not shift the parameters of the next draw.</summary>
    public DemandDraw Fork(int index) => new(unchecked(seed * 486_187_739 + index * 16_777_619 + 1));

    public double Normal() => Math.Sqrt(-2 * Math.Log(1 - _random.NextDouble())) * Math.Cos(2 * Math.PI * _random.NextDouble());

    /// <summary>A count with the given mean and variance = mean × dispersion; Poisson when the dispersion is 1.</summary>
    public int NegativeBinomial(double mean, double dispersion) =>
        Poisson(dispersion > 1.001 && mean > 0 ? Gamma(mean / (dispersion - 1)) * (dispersion - 1) : mean);

    public int Poisson(double mean)
    {
        if (mean > 40)
            return (int)Math.Max(0, Math.Round(mean + Math.Sqrt(mean) * Normal()));
        var draw = _random.NextDouble();
        var term = Math.Exp(-mean);
        var total = term;
        var count = 0;
        while (draw > total && count < 200)
        {
            term *= mean / ++count;
            total += term;
        }

        return count;
    }

    // Marsaglia and Tsang, "A simple method for generating gamma variables", 2000; below shape 1 by their boost.
    double Gamma(double shape)
    {
        if (shape < 1)
            return Gamma(shape + 1) * Math.Pow(1 - _random.NextDouble(), 1 / shape);
        var d = shape - 1.0 / 3;
        var c = 1 / Math.Sqrt(9 * d);
        while (true)
        {
            var x = Normal();
            var v = Math.Pow(1 + c * x, 3);
            if (v > 0 && Math.Log(1 - _random.NextDouble()) < 0.5 * x * x + d - d * v + d * Math.Log(v))
                return d * v;
        }
    }
}
