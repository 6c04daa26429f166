using static Tributary.Branching.Tests.BranchingFixture;

namespace Tributary.Branching.Tests;

/// <summary>What is there after the end of a manager: of its own will, or with leftovers as a crash leaves them.</summary>
public sealed class RestartTests
{
    [Fact]
    public async Task Branches_survive_a_restart_and_leftovers_of_a_crash_do_not()
    {
        var fixture = new BranchingFixture();
        await fixture.InitializeAsync();
        var kept = (await fixture.Manager.CreateAsync(new BranchRequest(BranchName.Parse("kept"), BranchOrigin.Seed) { IdempotencyKey = "key-kept" }, Token)).Value!;
        await using (var lease = await fixture.ConnectAsync(kept))
            await ExecuteAsync(ConnectionString(lease), "CREATE TABLE mine AS SELECT 5 AS x");
        await fixture.StopManagerAsync();
        Assert.DoesNotContain(fixture.Options.StateDirectory, await File.ReadAllTextAsync("/proc/mounts", Token), StringComparison.Ordinal);
        PlantLeftovers(fixture.Options);

        var next = new BranchingFixture();
        await using (next)
        {
            await next.TakeOverAsync(fixture);

            Assert.Equal(kept.Id, (await next.Manager.CreateAsync(new BranchRequest(BranchName.Parse("repeated"), BranchOrigin.Seed) { IdempotencyKey = "key-kept" }, Token)).Value?.Id);
            Assert.Equal(["kept"], next.Manager.List().Select(branch => branch.Name.ToString()));
            Assert.Equal([$"b{kept.Number}"], Directory.EnumerateDirectories(Path.Combine(fixture.Options.StateDirectory, "pool", "branches")).Select(Path.GetFileName));
            await using var lease = await next.ConnectAsync(kept);
            Assert.Equal(5, await ScalarAsync(ConnectionString(lease), "SELECT x FROM mine"));
            Assert.Equal(1_000_000m, await ScalarAsync(ConnectionString(lease), "SELECT sum(balance) FROM accounts"));
        }
    }

    [Fact]
    public async Task What_deleted_branches_have_used_stays_on_their_owners_account()
    {
        var fixture = new BranchingFixture { Adjust = static options => options with { RestoreGrace = TimeSpan.FromMinutes(10) } };
        await fixture.InitializeAsync();
        foreach (var name in new[] { "purged", "kept" })
        {
            var made = await fixture.Manager.CreateAsync(
                new BranchRequest(BranchName.Parse(name), BranchOrigin.Seed) { Policy = BranchPolicy.Default with { Owner = "zoe" } }, Token);
            await using (var lease = await fixture.ConnectAsync(made.Value!))
                await ScalarAsync(ConnectionString(lease), "SELECT count(*) FROM accounts a, accounts b");
            Assert.True((await fixture.Manager.DeleteAsync(made.Value!.Name, purge: name == "purged", Token)).Succeeded);
        }

        var before = fixture.Manager.DeletedAccounts()["zoe"];
        await fixture.StopManagerAsync();
        await using var next = new BranchingFixture();
        await next.TakeOverAsync(fixture);

        Assert.Equal((2, 2L), (before.Branches, before.Connections));
        Assert.True(before is { RunSeconds: > 0.1, CpuSeconds: > 0.01 }, $"{before}");
        Assert.Equal(before, next.Manager.DeletedAccounts()["zoe"]);
    }

    [Fact]
    public async Task Branches_are_usable_while_production_is_down_and_main_catches_up_after()
    {
        await using var fixture = new BranchingFixture();
        await fixture.InitializeAsync();
        await fixture.Production.StopAsync("KILL", Token);

        var branch = await fixture.CreateAsync("orphan");
        await using (var lease = await fixture.ConnectAsync(branch))
            Assert.Equal(1_000_000m, await ScalarAsync(ConnectionString(lease), "SELECT sum(balance) FROM accounts"));
        await fixture.Production.StartAsync(Token);
        await ExecuteAsync(fixture.Production.ConnectionString("bank"), "CREATE TABLE after_crash AS SELECT 3 AS x");
        await fixture.FreshSeedAsync();

        var later = await fixture.CreateAsync("later");
        await using var second = await fixture.ConnectAsync(later);
        Assert.Equal(3, await ScalarAsync(ConnectionString(second), "SELECT x FROM after_crash"));
    }

    [Fact]
    public async Task Another_production_behind_the_url_is_refused()
    {
        await using var fixture = new BranchingFixture();
        await fixture.InitializeAsync();
        await fixture.StopManagerAsync();
        await using var other = new BranchingFixture();
        await other.InitializeAsync();

        var opened = await BranchManager.OpenAsync(
            fixture.Options with { Source = other.Options.Source }, feed: null, TimeProvider.System, Microsoft.Extensions.Logging.Abstractions.NullLoggerFactory.Instance, Token);

        Assert.Equal(BranchErrorKind.SourceUnsuitable, opened.Error?.Kind);
        Assert.Contains("another cluster", opened.Error!.Message, StringComparison.Ordinal);
    }

    // What kill -9 leaves: a volume whose row was never marked ready, one without a row, one half deleted, a half-made seed.
    static void PlantLeftovers(BranchingOptions options)
    {
        using var catalog = Catalog.BranchCatalog.Open(Path.Combine(options.StateDirectory, "catalog.db"));
        catalog.Reserve(new BranchRequest(BranchName.Parse("half-made"), BranchOrigin.Seed), TimeProvider.System.GetUtcNow());
        var deleting = catalog.Reserve(new BranchRequest(BranchName.Parse("half-gone"), BranchOrigin.Seed), TimeProvider.System.GetUtcNow());
        catalog.Save(deleting with { State = BranchState.Deleting });
    }
}
