using Microsoft.Extensions.Time.Testing;
using Npgsql;
using Tributary.Demo.Agents;
using Tributary.Demo.Shop;
using Tributary.Testing;

namespace Tributary.Demo.Tests.Agents;

/// <summary>The agents' flows against plain databases: a copy of the shop stands for a branch.</summary>
public sealed class AgentTests(GeneratedShop shop)
{
    readonly FakeTimeProvider _time = new(GeneratedShop.Until);

    [Fact]
    public async Task Pricing_agent_reports_from_its_branch_and_leaves_nothing_behind()
    {
        var branches = new CopiedBranches(shop);
        await using var fresh = new ReplicaFreshData(shop.ConnectionString, _time);

        var report = await new PricingAgent(fresh, branches, _time).RunAsync(new PricingTask("Agent-42", "SKU-7891", 0.12), TestContext.Current.CancellationToken);

        TestContext.Current.TestOutputHelper!.WriteLine(report.Hypothesis + "\n" + report.Recommendation);
        Assert.Equal(["agent-42"], branches.Created);
        Assert.Equal(["agent-42"], branches.Deleted);
        Assert.NotEmpty(report.BestSellers.Items);
        Assert.Equal(report.BestSellers.Items.OrderByDescending(item => item.Units).Select(item => item.Units), report.BestSellers.Items.Select(item => item.Units));
        Assert.Equal(Math.Round(report.Forecast.Baseline.Price * 0.88m, 2, MidpointRounding.AwayFromZero), report.Forecast.Changed.Price);
        Assert.InRange(report.Forecast.Elasticity.Value, -3.3, -1.5);
        Assert.True(report.Forecast.Excess > 0);
        Assert.True(report.Forecast.Changed.ChanceToClear > report.Forecast.Baseline.ChanceToClear);
        Assert.Contains(report.Forecast.Verdict, (PriceVerdict[])[PriceVerdict.Recommended, PriceVerdict.NotEnough, PriceVerdict.NotNeeded]);
        Assert.InRange(report.DataAge!.Value, TimeSpan.Zero, TimeSpan.FromHours(1));
    }

    [Fact]
    public async Task Price_change_is_in_the_branch_and_not_in_production()
    {
        var branches = new CopiedBranches(shop) { KeepDeleted = true };
        await using var fresh = new ReplicaFreshData(shop.ConnectionString, _time);
        var before = await shop.ScalarAsync<decimal>("SELECT price FROM products WHERE sku = 'SKU-7891'");

        await new PricingAgent(fresh, branches, _time).RunAsync(new PricingTask("a1", "SKU-7891", 0.12), TestContext.Current.CancellationToken);

        Assert.Equal(Math.Round(before * 0.88m, 2), await GeneratedShop.ScalarAsync<decimal>(branches.Last, "SELECT price FROM products WHERE sku = 'SKU-7891'"));
        Assert.Equal(1, await GeneratedShop.ScalarAsync<long>(branches.Last, "SELECT count(*) FROM price_history WHERE reason = 'hypothesis'"));
        Assert.Equal(before, await shop.ScalarAsync<decimal>("SELECT price FROM products WHERE sku = 'SKU-7891'"));
    }

    [Fact]
    public async Task A_failing_agent_still_deletes_its_branch()
    {
        var branches = new CopiedBranches(shop) { Prepare = "DROP TABLE order_lines CASCADE" };
        await using var fresh = new ReplicaFreshData(shop.ConnectionString, _time);

        await Assert.ThrowsAsync<PostgresException>(() =>
            new PricingAgent(fresh, branches, _time).RunAsync(new PricingTask("a2", "SKU-7891", 0.12), TestContext.Current.CancellationToken));

        Assert.Equal(branches.Created, branches.Deleted);
    }

    [Fact]
    public async Task An_unknown_sku_is_refused_before_a_branch_is_made()
    {
        var branches = new CopiedBranches(shop);
        await using var fresh = new ReplicaFreshData(shop.ConnectionString, _time);

        var refused = await Assert.ThrowsAsync<AgentException>(() =>
            new PricingAgent(fresh, branches, _time).RunAsync(new PricingTask("a3", "SKU-1", 0.12), TestContext.Current.CancellationToken));

        Assert.Contains("SKU-1", refused.Message, StringComparison.Ordinal);
        Assert.Empty(branches.Created);
    }

    [Fact]
    public async Task Rogues_break_their_branches_only()
    {
        var witness = new ProductionWitness(shop.ConnectionString, null);
        var before = await witness.LookAsync(TestContext.Current.CancellationToken);
        var branches = new CopiedBranches(shop);
        var server = await TestServers.SharedAsync();
        var rogue = new RogueAgent(branches, server.Port, _time);

        var dropped = await rogue.RunAsync("r1", Misdeed.DropOrders, TestContext.Current.CancellationToken);
        var deleted = await rogue.RunAsync("r2", Misdeed.DeleteWithoutWhere, TestContext.Current.CancellationToken);

        Assert.Equal("orders dropped", dropped.Outcome[0]);
        Assert.Contains("42P01", dropped.Outcome[^1], StringComparison.Ordinal);
        Assert.Equal($"{shop.Summary.Rows["returns"]:N0} rows deleted", Assert.Single(deleted.Outcome));
        Assert.True((await witness.CompareAsync(before, TestContext.Current.CancellationToken)).Unchanged);
    }

    [Fact]
    public async Task Program_probe_says_so_when_it_can_reach_the_port_and_when_it_cannot()
    {
        // A plain database has no sandbox: the probe must be able to succeed, or its failure elsewhere would prove nothing.
        var server = await TestServers.SharedAsync();
        var open = await new RogueAgent(new CopiedBranches(shop), server.Port, _time).RunAsync("r3", Misdeed.RunPrograms, TestContext.Current.CancellationToken);
        var closed = await new RogueAgent(new CopiedBranches(shop), Postgres.Programs.PostgresServer.FreePort(), _time).RunAsync("r4", Misdeed.RunPrograms, TestContext.Current.CancellationToken);

        TestContext.Current.TestOutputHelper!.WriteLine(string.Join('\n', closed.Outcome));
        Assert.True(open.Escaped);
        Assert.Contains("REACHED PRODUCTION with bash", open.Outcome);
        Assert.False(closed.Escaped);
        Assert.Contains(closed.Outcome, line => line.StartsWith("id: uid=", StringComparison.Ordinal));
        Assert.Contains(closed.Outcome, line => line.Contains("refused", StringComparison.OrdinalIgnoreCase));
    }

    [Fact]
    public async Task A_fleet_holds_three_rogues_and_one_failure_does_not_stop_it()
    {
        var branches = new CopiedBranches(shop) { Refuse = "agent-5" };
        await using var fresh = new ReplicaFreshData(shop.ConnectionString, _time);
        var skus = await AgentFleet.PickSkusAsync(shop.ConnectionString, 6, TestContext.Current.CancellationToken);
        var ended = 0;

        var outcomes = await new AgentFleet(fresh, branches, 1, TimeSpan.Zero, _time).RunAsync(skus, _ => Interlocked.Increment(ref ended), TestContext.Current.CancellationToken);

        Assert.Equal(6, ended);
        Assert.Equal([null, Misdeed.DropOrders, Misdeed.DeleteWithoutWhere, Misdeed.RunPrograms, null, null], outcomes.Select(outcome => outcome.Rogue?.Misdeed));
        Assert.Equal("no branch for you", outcomes[4].Failure);
        Assert.NotNull(outcomes[5].Pricing);
    }
}
