using Npgsql;
using Tributary.Demo.Agents;
using Tributary.Demo.Shop;
using Tributary.Testing;

namespace Tributary.Demo.Tests.Shop;

public sealed class ShopGeneratorTests(GeneratedShop shop)
{
    [Fact]
    public async Task Number_of_orders_is_near_the_number_asked_for()
    {
        Assert.InRange(shop.Summary.Rows["orders"], 19_600, 20_400);
        Assert.Equal(shop.Summary.Rows["orders"], await shop.ScalarAsync<long>("SELECT count(DISTINCT order_id) FROM order_lines"));
    }

    [Fact]
    public async Task Same_seed_gives_the_same_rows_and_another_seed_does_not()
    {
        var server = await TestServers.SharedAsync();
        var options = new ShopOptions { Orders = ShopOptions.OrdersMin, Days = 60, Products = 1_900, Until = GeneratedShop.Until };
        var sums = new List<string>();
        foreach (var seed in (int[])[1, 1, 2])
        {
            var database = await server.NewDatabaseAsync("seed") + ";Pooling=false";
            await new ShopGenerator(database, new RecordingNarrator(), TimeProvider.System).GenerateAsync(options with { Seed = seed }, TestContext.Current.CancellationToken);
            sums.Add(await GeneratedShop.ScalarAsync<string>(database, string.Join(" || '/' || ", ShopSchema.TableNames.Select(table =>
                $"(SELECT count(*) || ':' || sum(hashtextextended(t::text, 0)) FROM {table} t)")).Insert(0, "SELECT ")));
        }

        Assert.Equal(sums[0], sums[1]);
        Assert.NotEqual(sums[0], sums[2]);
    }

    [Fact]
    public async Task A_fifth_of_the_products_makes_most_of_the_sales_and_the_tail_still_sells()
    {
        var share = await shop.ScalarAsync<double>("""
            SELECT (sum(n) FILTER (WHERE r <= 480) / sum(n))::float8 FROM (SELECT count(*) AS n, row_number() OVER (ORDER BY count(*) DESC) AS r FROM order_lines GROUP BY product_id) x
            """);

        Assert.InRange(share, 0.60, 0.85);
        Assert.InRange(await shop.ScalarAsync<long>("SELECT count(DISTINCT product_id) FROM order_lines"), 2_300, 2_400);
    }

    [Fact]
    public async Task Weekends_sell_more_and_evenings_sell_more_than_nights()
    {
        var weekend = await shop.ScalarAsync<double>("""
            WITH d AS (SELECT (created_at AT TIME ZONE 'UTC')::date AS day, count(*) AS n FROM orders WHERE created_at < timestamptz '2026-03-18 00:00+00' GROUP BY 1)
            SELECT (avg(n) FILTER (WHERE extract(isodow FROM day) >= 6) / avg(n) FILTER (WHERE extract(isodow FROM day) < 6))::float8 FROM d
            """);
        var evening = await shop.ScalarAsync<double>("""
            SELECT (count(*) FILTER (WHERE extract(hour FROM created_at AT TIME ZONE 'UTC') = 20))::float8 / count(*) FILTER (WHERE extract(hour FROM created_at AT TIME ZONE 'UTC') = 3) FROM orders
            """);

        // Planted: 1.30 against a mean of 0.94; 96 against 3.
        Assert.InRange(weekend, 1.25, 1.52);
        Assert.InRange(evening, 15, 70);
    }

    [Fact]
    public async Task Orders_span_the_days_asked_for_and_end_just_before_the_moment_asked_for()
    {
        var oldest = await shop.ScalarAsync<DateTime>("SELECT min(created_at) FROM orders");
        var newest = await shop.ScalarAsync<DateTime>("SELECT max(created_at) FROM orders");

        Assert.Equal(GeneratedShop.Until.UtcDateTime.Date.AddDays(-119), oldest.Date);
        Assert.InRange(GeneratedShop.Until.UtcDateTime - newest, TimeSpan.Zero, TimeSpan.FromHours(1));
        Assert.Equal(0, await shop.ScalarAsync<long>("SELECT count(*) FROM orders a JOIN orders b ON b.id = a.id + 1 WHERE b.created_at < a.created_at"));
    }

    [Fact]
    public async Task Books_balance()
    {
        Assert.Equal(0, await shop.ScalarAsync<long>(
            "SELECT count(*) FROM products p WHERE stock <> (SELECT sum(quantity) FROM stock_movements m WHERE m.product_id = p.id)"));
        Assert.Equal(0, await shop.ScalarAsync<long>(
            "SELECT count(*) FROM orders o WHERE total <> (SELECT sum(quantity * unit_price) FROM order_lines l WHERE l.order_id = o.id)"));
        Assert.Equal(0, await shop.ScalarAsync<long>(
            "SELECT count(*) FROM products p WHERE price <> (SELECT price FROM price_history h WHERE h.product_id = p.id ORDER BY valid_from DESC LIMIT 1)"));
        Assert.Equal(0, await shop.ScalarAsync<long>("""
            SELECT count(*) FROM order_lines l WHERE unit_price <>
                (SELECT price FROM price_history h WHERE h.product_id = l.product_id AND valid_from <= l.ordered_at ORDER BY valid_from DESC LIMIT 1)
            """));
    }

    [Fact]
    public async Task Every_table_has_a_primary_key_and_new_rows_get_fresh_ids()
    {
        Assert.Equal(ShopSchema.TableNames.Count, (int)await shop.ScalarAsync<long>("SELECT count(*) FROM pg_constraint WHERE contype = 'p' AND connamespace = 'public'::regnamespace"));
        Assert.Equal(8, await shop.ScalarAsync<long>("SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND convalidated"));
        Assert.True(await shop.ScalarAsync<bool>("SELECT last_value = (SELECT max(id) FROM orders) FROM orders_id_seq"));
    }

    [Fact]
    public async Task Sku_7891_has_an_excess_and_so_have_fifty_more()
    {
        Assert.True(await shop.ScalarAsync<bool>("SELECT stock > target_stock AND price > cost FROM products WHERE sku = 'SKU-7891'"));
        Assert.Equal(50, (await AgentFleet.PickSkusAsync(shop.ConnectionString, 50, TestContext.Current.CancellationToken)).Distinct().Count());
    }

    [Fact]
    public void Progress_rises_from_zero_to_one()
    {
        var fractions = shop.Narrator.Steps.Select(step => step.Fraction).ToList();

        Assert.Equal(0, fractions[0]);
        Assert.Equal(1, fractions[^1], 9);
        Assert.Equal(fractions.Order(), fractions);
    }

    [Theory]
    [InlineData(10, 42, 2_400)]
    [InlineData(20_000, -1, 2_400)]
    [InlineData(20_000, 1, 100)]
    public void Options_out_of_range_are_refused(int orders, int seed, int products) =>
        Assert.Throws<ArgumentException>(() => new ShopOptions { Orders = orders, Seed = seed, Products = products, Until = GeneratedShop.Until }.Validate());

    [Fact(Explicit = true)]
    public async Task Default_scale_is_ready_within_thirty_seconds_with_fsync_on()
    {
        await using var server = await TestServers.StartAsync(["fsync = on", "synchronous_commit = on", "shared_buffers = 128MB", "wal_level = logical"]);
        var database = await server.NewDatabaseAsync("full") + ";Pooling=false";
        var summary = await new ShopGenerator(database, new RecordingNarrator(), TimeProvider.System)
            .GenerateAsync(new ShopOptions { Until = TimeProvider.System.GetUtcNow() }, TestContext.Current.CancellationToken);

        TestContext.Current.TestOutputHelper!.WriteLine(summary.ToString());
        await using var connection = new NpgsqlConnection(database);
        await connection.OpenAsync(TestContext.Current.CancellationToken);
        var now = TimeProvider.System.GetUtcNow();
        for (var round = 0; round < 3; round++)
        {
            var start = TimeProvider.System.GetTimestamp();
            var history = await DemandHistoryReader.ReadAsync(connection, "SKU-7891", now, TestContext.Current.CancellationToken);
            var read = TimeProvider.System.GetElapsedTime(start);
            var model = new ForecastModel(history!, now);
            var (plain, changed) = (model.At(history!.Product.Price, history.Product), model.At(0.88 * history.Product.Price, history.Product));
            TestContext.Current.TestOutputHelper!.WriteLine(
                $"read {read.TotalMilliseconds:F0} ms, with model {TimeProvider.System.GetElapsedTime(start).TotalMilliseconds:F0} ms; {model.OwnElasticity} {model.CategoryElasticity} {model.Elasticity}; {plain}; {changed}");
        }

        // Fields 16 and 17 of the postmaster's stat are the CPU time of the backends that it has reaped, in hundredths of a second.
        var stat = (await File.ReadAllTextAsync($"/proc/{server.ProcessId}/stat", TestContext.Current.CancellationToken)).Split(' ');
        TestContext.Current.TestOutputHelper!.WriteLine($"CPU of ended backends: {(int.Parse(stat[15]) + int.Parse(stat[16])) / 100.0:F1} s");
        Assert.InRange(summary.Elapsed.TotalSeconds, 0, 30);
        Assert.InRange(summary.DatabaseBytes / 1048576, 350, 500);
    }
}
