using Npgsql;

namespace Tributary.Demo.Shop;

/// <param name="Products">Distinct products, so that one UPDATE touches each row once.</param>
/// <param name="Quantities">One for each product.</param>
sealed record Basket(long CustomerId, int[] Products, int[] Quantities, string PaymentReference);

/// <summary>
/// Draws baskets from a seed: products by their sales in the last four weeks of the data, read once; customers skewed to the early ones.
/// </summary>
sealed class BasketDraw
{
    // Near the history's shares of one, two … five lines an order, and its shares of one, two, three units a line.
    static readonly double[] LinesCumulative = [0.15, 0.42, 0.70, 0.90, 1.0];
    static readonly double[] UnitsCumulative = [0.80, 0.94, 1.0];

    readonly Random _random;
    readonly int[] _products;
    readonly long[] _cumulative;
    readonly long _customers;
    readonly int _seed;
    long _drawn;

    BasketDraw(int seed, long customers, int[] products, long[] cumulative)
    {
        _seed = seed;
        _random = new Random(seed);
        _customers = customers;
        _products = products;
        _cumulative = cumulative;
    }

    /// <param name="weights">Product and its weight, in a fixed order.</param>
    public static BasketDraw FromWeights(int seed, long customers, IReadOnlyList<(int Product, long Weight)> weights)
    {
        if (weights.Count == 0 || customers == 0)
            throw new InvalidOperationException("The shop has no sales or no customers to draw from: generate it first.");
        var sum = 0L;
        return new BasketDraw(seed, customers, [.. weights.Select(entry => entry.Product)], [.. weights.Select(entry => sum += entry.Weight)]);
    }

    public static async Task<BasketDraw> LoadAsync(NpgsqlConnection connection, int seed, CancellationToken cancellationToken)
    {
        await using var customers = new NpgsqlCommand("SELECT max(id) FROM customers", connection);
        var customerCount = await customers.ExecuteScalarAsync(cancellationToken) as long? ?? 0;
        // Sales at this hour of the day, an hour either side, count four times: the mix follows the clock and every product stays possible.
        await using var sales = new NpgsqlCommand("""
            SELECT product_id, sum(CASE WHEN (extract(hour FROM ordered_at)::int - extract(hour FROM now())::int + 24) % 24 IN (23, 0, 1) THEN 4 ELSE 1 END)
            FROM order_lines WHERE ordered_at > (SELECT max(created_at) FROM orders) - interval '28 days' GROUP BY product_id ORDER BY product_id
            """, connection);
        var weights = new List<(int, long)>();
        await using var reader = await sales.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            weights.Add((reader.GetInt32(0), reader.GetInt64(1)));
        return FromWeights(seed, customerCount, weights);
    }

    public Basket Next()
    {
        var lines = Math.Min(Pick(LinesCumulative), _products.Length);
        var chosen = new HashSet<int>(lines);
        while (chosen.Count < lines)
            chosen.Add(_products[ProductIndex()]);
        // In the order of their ids: two writers that lock the same products then never wait for each other in a circle.
        int[] products = [.. chosen.Order()];
        int[] quantities = [.. products.Select(_ => Pick(UnitsCumulative))];
        var customer = 1 + (long)(_customers * Math.Pow(_random.NextDouble(), 1.6));
        return new Basket(customer, products, quantities, $"pay_live_{_seed}_{++_drawn}");
    }

    int ProductIndex()
    {
        var index = Array.BinarySearch(_cumulative, _random.NextInt64(_cumulative[^1]) + 1);
        return index >= 0 ? index : ~index;
    }

    int Pick(double[] cumulative)
    {
        var draw = _random.NextDouble();
        return 1 + Array.FindIndex(cumulative, share => draw < share);
    }
}
