using Tributary.Demo.Shop;
using Tributary.Testing;

namespace Tributary.Demo.Tests.Shop;

public sealed class ShopGeneratorTests(GeneratedShop shop) : IClassFixture<GeneratedShop>
{
    [Fact]
    public async Task Number_of_orders_is_near_the_number_asked_for()
    {
        Assert.InRange(shop.Summary.Rows["orders"], 19_600, 20_400);
        Assert.Equal(shop.Summary.Rows["orders"], await shop.ScalarAsync<long>("SELECT count(DISTINCT order_id) FROM order_lines"));
    }

    [Fact(Explicit = true)]
    public async Task Default_scale_is_ready_within_thirty_seconds_with_fsync_on()
    {
        await using var server = await TestServers.StartAsync(["fsync = on", "synchronous_commit = on", "shared_buffers = 128MB", "wal_level = logical"]);
        var summary = await new ShopGenerator(await server.NewDatabaseAsync("full"), new TimedNarrator(), TimeProvider.System)
            .GenerateAsync(new ShopOptions { Until = TimeProvider.System.GetUtcNow() }, TestContext.Current.CancellationToken);

        TestContext.Current.TestOutputHelper!.WriteLine(summary.ToString());
        Assert.InRange(summary.Elapsed.TotalSeconds, 0, 30);
        Assert.InRange(summary.DatabaseBytes / 1048576, 350, 500);
    }

    sealed class TimedNarrator : INarrator
    {
        readonly long _start = TimeProvider.System.GetTimestamp();

        public void Section(string title)
        {
        }

        public void Line(string text)
        {
        }

        public void Progress(string label, double fraction) =>
            TestContext.Current.TestOutputHelper!.WriteLine($"{TimeProvider.System.GetElapsedTime(_start).TotalSeconds:F1} s {fraction:P0}");

        public void Table(string title, IReadOnlyList<string> columns, IReadOnlyList<IReadOnlyList<string>> rows)
        {
        }
    }
}
