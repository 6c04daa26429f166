using Npgsql;
using Tributary.Demo.Shop;

namespace Tributary.Demo.Tests.Shop;

public sealed class ProductionWitnessTests(GeneratedShop shop)
{
    [Fact]
    public async Task Arriving_orders_leave_the_testimony_unchanged_and_are_reconciled_exactly()
    {
        var production = await shop.CopyAsync("wit");
        using var arrivals = new OrderArrivals(production, new OrderArrivalsOptions { OrdersPerSecond = 200 }, TimeProvider.System);
        using var stop = new CancellationTokenSource();
        var run = arrivals.RunAsync(stop.Token);
        await OrderArrivalsTests.WaitForAsync(() => arrivals.Committed > 5, run);
        var witness = new ProductionWitness(production, arrivals);

        var before = await witness.LookAsync(TestContext.Current.CancellationToken);
        await OrderArrivalsTests.WaitForAsync(() => arrivals.Committed > before.CommittedArrivals + 50, run);
        var verdict = await witness.CompareAsync(before, TestContext.Current.CancellationToken);
        await stop.CancelAsync();
        await run;

        Assert.Empty(verdict.Differences);
        Assert.True(verdict.Unchanged);
        Assert.True(verdict.Arrived > 50);
        Assert.Equal(verdict.After.Orders, verdict.Before.Orders + verdict.Arrived);
    }

    [Theory]
    [InlineData("UPDATE products SET price = price + 0.01 WHERE id = 5", "products")]
    [InlineData("DELETE FROM returns WHERE id = 3", "returns")]
    [InlineData("UPDATE price_history SET reason = 'x' WHERE id = 9", "price_history")]
    [InlineData("UPDATE orders SET total = total + 1 WHERE id = 77", "orders")]
    public async Task A_tampered_row_is_noticed(string tampering, string table)
    {
        var production = await shop.CopyAsync("tamper");
        var witness = new ProductionWitness(production, null);
        var before = await witness.LookAsync(TestContext.Current.CancellationToken);

        await ExecuteAsync(production, tampering);
        var verdict = await witness.CompareAsync(before, TestContext.Current.CancellationToken);

        Assert.False(verdict.Unchanged);
        Assert.StartsWith(table + ":", Assert.Single(verdict.Differences), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_order_that_nobody_committed_is_noticed()
    {
        var production = await shop.CopyAsync("extra");
        var witness = new ProductionWitness(production, null);
        var before = await witness.LookAsync(TestContext.Current.CancellationToken);

        await ExecuteAsync(production, "INSERT INTO orders (customer_id, created_at, status, total, payment_reference, ship_to, client) VALUES (1, now(), 'paid', 1, 'x', 'x', 'x')");
        var verdict = await witness.CompareAsync(before, TestContext.Current.CancellationToken);

        Assert.Empty(verdict.Differences);
        Assert.False(verdict.OrdersReconcile);
        Assert.False(verdict.Unchanged);
    }

    static async Task ExecuteAsync(string connectionString, string sql)
    {
        await using var connection = new NpgsqlConnection(connectionString);
        await connection.OpenAsync(TestContext.Current.CancellationToken);
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
    }
}
