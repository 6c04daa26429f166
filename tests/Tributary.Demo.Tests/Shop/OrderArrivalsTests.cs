using Microsoft.Extensions.Time.Testing;
using Tributary.Demo.Shop;

namespace Tributary.Demo.Tests.Shop;

public sealed class OrderArrivalsTests(GeneratedShop shop)
{
    [Fact]
    public async Task Arrivals_keep_their_rate_without_drift_and_every_order_is_counted()
    {
        var production = await shop.CopyAsync("arr");
        var before = await GeneratedShop.ScalarAsync<long>(production, "SELECT count(*) FROM orders");
        using var arrivals = new OrderArrivals(production, new OrderArrivalsOptions { OrdersPerSecond = 100 }, TimeProvider.System);
        using var stop = new CancellationTokenSource();
        var run = arrivals.RunAsync(stop.Token);

        await WaitForAsync(() => arrivals.Committed >= 10, run);
        var (start, first) = (TimeProvider.System.GetTimestamp(), arrivals.Committed);
        await WaitForAsync(() => arrivals.Committed >= first + 150, run);
        var seconds = TimeProvider.System.GetElapsedTime(start).TotalSeconds;
        await stop.CancelAsync();
        await run;

        // 150 orders are due after 1.5 s; a busy machine may take longer, none may be faster than the schedule and the catch-up allow.
        Assert.InRange(seconds, 1.0, 6.0);
        Assert.Equal(before + arrivals.Committed, await GeneratedShop.ScalarAsync<long>(production, "SELECT count(*) FROM orders"));
        Assert.Equal(0, await GeneratedShop.ScalarAsync<long>(production, $"SELECT count(*) FROM orders o WHERE id > {before} AND total <> (SELECT sum(quantity * unit_price) FROM order_lines l WHERE l.order_id = o.id)"));
        Assert.Equal(0, await GeneratedShop.ScalarAsync<long>(production, "SELECT count(*) FROM products p WHERE stock <> (SELECT sum(quantity) FROM stock_movements m WHERE m.product_id = p.id)"));
    }

    [Fact]
    public async Task A_stall_is_caught_up_only_within_its_bound()
    {
        var time = new FakeTimeProvider();
        using var arrivals = new OrderArrivals(await shop.CopyAsync("stall"), new OrderArrivalsOptions { OrdersPerSecond = 10, CatchUpMax = TimeSpan.FromSeconds(2) }, time);
        using var stop = new CancellationTokenSource();
        var run = arrivals.RunAsync(stop.Token);
        await WaitForAsync(() => { time.Advance(TimeSpan.FromMilliseconds(100)); return arrivals.Committed >= 1; }, run);

        using (await arrivals.PauseAsync(TestContext.Current.CancellationToken))
            time.Advance(TimeSpan.FromMinutes(10));
        var held = arrivals.Committed;
        await WaitForAsync(() => arrivals.Committed >= held + 20, run);
        await stop.CancelAsync();
        await run;

        // Two seconds are twenty orders, one may have been waiting for its turn and one be due at the very moment; six thousand are not made up for.
        Assert.InRange(arrivals.Committed - held, 20, 30);
    }

    [Fact]
    public async Task Nothing_is_committed_while_arrivals_are_paused()
    {
        using var arrivals = new OrderArrivals(await shop.CopyAsync("pause"), new OrderArrivalsOptions { OrdersPerSecond = 200 }, TimeProvider.System);
        using var stop = new CancellationTokenSource();
        var run = arrivals.RunAsync(stop.Token);
        await WaitForAsync(() => arrivals.Committed > 5, run);

        long before, after;
        using (await arrivals.PauseAsync(TestContext.Current.CancellationToken))
        {
            before = arrivals.Committed;
            await Task.Delay(TimeSpan.FromMilliseconds(60), TestContext.Current.CancellationToken);
            after = arrivals.Committed;
        }

        await WaitForAsync(() => arrivals.Committed > after, run);
        await stop.CancelAsync();
        await run;
        Assert.Equal(before, after);
    }

    [Fact]
    public void Baskets_follow_the_seed_and_the_weights()
    {
        (int, long)[] weights = [(1, 900), (2, 90), (3, 10)];
        var baskets = Enumerable.Range(0, 2_000).Select(_ => 0).ToList();
        var (one, two) = (BasketDraw.FromWeights(5, 100, weights), BasketDraw.FromWeights(5, 100, weights));

        var firsts = new List<Basket>();
        foreach (var _ in baskets)
        {
            var (a, b) = (one.Next(), two.Next());
            Assert.Equal(a.Products, b.Products);
            Assert.Equal(a.CustomerId, b.CustomerId);
            firsts.Add(a);
        }

        var singles = firsts.Where(basket => basket.Products.Length == 1).ToList();
        Assert.InRange(singles.Count(basket => basket.Products[0] == 1) / (double)singles.Count, 0.84, 0.96);
        Assert.All(firsts, basket => Assert.Equal(basket.Products.Distinct().Order(), basket.Products));
        Assert.All(firsts, basket => Assert.InRange(basket.CustomerId, 1, 100));
    }

    internal static async Task WaitForAsync(Func<bool> condition, Task run)
    {
        var deadline = TimeProvider.System.GetTimestamp();
        while (!condition())
        {
            if (run.IsFaulted)
                await run;
            Assert.True(TimeProvider.System.GetElapsedTime(deadline) < TimeSpan.FromSeconds(20), "The condition did not come true within 20 s.");
            await Task.Yield();
            await Task.Delay(TimeSpan.FromMilliseconds(2), TimeProvider.System, TestContext.Current.CancellationToken);
        }
    }
}
