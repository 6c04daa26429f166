namespace Tributary.Streaming.Tests;

public sealed class LagWindowTests
{
    static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    [Fact]
    public void A_catch_up_is_forgotten_after_the_span()
    {
        var window = new LagWindow(capacity: 1000, TimeSpan.FromSeconds(60));
        for (var i = 0; i < 100; i++)
            window.Add(Start, 90_000);
        for (var i = 1; i <= 100; i++)
            window.Add(Start.AddSeconds(30), i);

        Assert.Equal([100, 90_000], window.Percentiles(Start.AddSeconds(60), 0.50, 0.99));
        Assert.Equal([50, 99], window.Percentiles(Start.AddSeconds(61), 0.50, 0.99));
        Assert.Equal([null, null], window.Percentiles(Start.AddSeconds(91), 0.50, 0.99));
    }

    [Fact]
    public void Only_the_latest_count_when_there_are_more_than_it_holds()
    {
        var window = new LagWindow(capacity: 3, TimeSpan.FromSeconds(60));
        foreach (var lag in (double[])[900, 800, 1, 2, 3])
            window.Add(Start, lag);

        Assert.Equal([1, 3], window.Percentiles(Start, 0.01, 1));
    }
}
