using Tributary.EndToEnd.Tests.Support;
using Tributary.Postgres.Programs;
using Tributary.Testing;

namespace Tributary.EndToEnd.Tests;

/// <summary>A user who is not root gets full copies, is told why, and has branches that work.</summary>
public sealed class WithoutRootTests
{
    [Fact]
    public async Task Up_goes_on_with_full_copies_says_why_and_a_branch_works()
    {
        var sandbox = await ChildProcesses.RunAsync(
            new ChildProcessSpec("bwrap", ["--unshare-all", "--ro-bind", "/", "/", "/bin/true"]) { AsPostgresUser = true }, TestContext.Current.CancellationToken);
        Assert.SkipUnless(sandbox.Succeeded, $"bubblewrap cannot make a sandbox as a plain user on this machine: {sandbox.StandardError.Trim()}");
        await using var production = await TestServers.StartAsync(["wal_level = logical"]);
        await Sql.AskAsync(production.ConnectionString(), "CREATE TABLE items AS SELECT n AS id FROM generate_series(1, 100) n");
        await using var space = new TestSpace(asPostgresUser: true);
        await space.ConfigureAsync($"source: {{ url: '{production.Url()}' }}", "branching: { idle-timeout: 2s }");

        var running = await space.UpAsync();
        var status = await running.ReadyAsync();
        var branch = await running.CreateAsync("copied");

        Assert.Equal("copy", status.Branching.Driver);
        Assert.Contains("does not run as root", running.Log, StringComparison.Ordinal);
        Assert.Equal(100L, await branch.AskAsync("WITH gone AS (DELETE FROM items RETURNING id) SELECT count(*) FROM gone"));
        Assert.Equal(0L, await branch.AskAsync("SELECT count(*) FROM items"));
        Assert.Equal(100L, await Sql.AskAsync(production.ConnectionString(), "SELECT count(*) FROM items"));
        await running.SignalAsync("TERM");
        Assert.Equal(0, await running.ExitCodeAsync());
        Assert.Empty(Machine.LeftoversOf(space.State));
    }
}
