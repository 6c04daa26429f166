using Tributary.EndToEnd.Tests.Support;
using Tributary.Testing;

namespace Tributary.EndToEnd.Tests;

/// <summary>The two ways to end <c>tributary up</c> in order.</summary>
public sealed class StopTests
{
    [Theory]
    [InlineData("TERM")]
    [InlineData("INT")]
    public async Task A_stop_ends_with_0_leaves_nothing_running_and_keeps_the_branches(string signal)
    {
        await using var production = await TestServers.StartAsync(["wal_level = logical"]);
        await using var space = new TestSpace();
        await space.ConfigureAsync($"source: {{ url: '{production.Url()}' }}", "branching: { driver: btrfs, pool-size: 4GiB }");
        var first = await space.UpAsync();
        await first.ReadyAsync();
        var branch = await first.CreateAsync("kept");
        await branch.AskAsync("CREATE TABLE mine AS SELECT 42 AS x");
        await using var client = await Sql.OpenAsync(branch.ConnectionString());
        var tree = Machine.Tree(first.Id);
        Assert.Contains(tree, static process => process.Contains(" postgres ", StringComparison.Ordinal));

        await first.SignalAsync(signal);

        Assert.Equal(0, await first.ExitCodeAsync());
        Assert.Empty(Machine.StillRunning(tree));
        Assert.Empty(Machine.LeftoversOf(space.State));
        Assert.True(File.Exists(Path.Combine(space.State, "pool.img")));
        Assert.False(File.Exists(space.Socket));

        var second = await space.UpAsync();
        await second.ReadyAsync();
        var kept = Assert.Single(await second.ListAsync());
        Assert.Equal((branch.Id, branch.Name), (kept.Id, kept.Name));
        Assert.Equal(42, await kept.AskAsync("SELECT x FROM mine"));
    }
}
