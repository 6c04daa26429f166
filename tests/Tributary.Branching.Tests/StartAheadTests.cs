using static Tributary.Branching.Tests.BranchingFixture;

namespace Tributary.Branching.Tests;

/// <summary>A new branch's server is there before its first client, and costs nothing when none comes.</summary>
public sealed class StartAheadTests : IAsyncLifetime
{
    readonly BranchingFixture _fixture = new() { Adjust = static options => options with { StartsAheadMax = 2 } };

    public ValueTask InitializeAsync() => _fixture.InitializeAsync();

    public ValueTask DisposeAsync() => _fixture.DisposeAsync();

    [Fact]
    public async Task As_many_new_branches_as_may_run_before_their_first_client_and_the_next_one_is_started_by_its_own()
    {
        var branches = new[] { await _fixture.CreateAsync("ahead-1"), await _fixture.CreateAsync("ahead-2"), await _fixture.CreateAsync("ahead-3") };

        await UntilAsync(() => States(branches) is [ComputeState.Running, ComputeState.Running, _], () => string.Join(", ", States(branches)));
        Assert.Equal(ComputeState.Asleep, States(branches)[2]);
        await using var first = await _fixture.ConnectAsync(branches[0]);
        await using var third = await _fixture.ConnectAsync(branches[2]);
        Assert.Null(first.WakeTime);
        Assert.NotNull(third.WakeTime);
        Assert.Equal(1000L, await ScalarAsync(ConnectionString(first), "SELECT count(*) FROM accounts"));
        // The first one's client has come, so that another one may wait for its own.
        var fourth = await _fixture.CreateAsync("ahead-4");
        await UntilAsync(() => States([fourth]) is [ComputeState.Running], () => "the fourth is not started");
    }

    [Fact]
    public async Task One_whose_client_does_not_come_is_put_to_sleep_and_wakes_later()
    {
        var branch = await _fixture.CreateAsync("ahead-forgotten");
        await UntilAsync(() => States([branch]) is [ComputeState.Running], () => "it is not started");

        await _fixture.StopIdleAsync();

        Assert.Equal([ComputeState.Asleep], States([branch]));
        await using var lease = await _fixture.ConnectAsync(branch);
        Assert.NotNull(lease.WakeTime);
    }

    [Fact]
    public async Task Settings_that_are_given_before_the_first_client_hold_for_it()
    {
        var branch = await _fixture.CreateAsync("ahead-set");
        await UntilAsync(() => States([branch]) is [ComputeState.Running], () => "it is not started");

        Assert.True(_fixture.Manager.SetPolicy(branch.Name, policy => policy with { Settings = new Dictionary<string, string> { ["work_mem"] = "7MB" } }).Succeeded);

        await using var lease = await _fixture.ConnectAsync(branch);
        Assert.Equal("7MB", await ScalarAsync(ConnectionString(lease), "SHOW work_mem"));
    }

    [Fact]
    public async Task One_that_is_deleted_while_it_starts_leaves_nothing()
    {
        for (var round = 0; round < 5; round++)
        {
            var branch = await _fixture.CreateAsync($"ahead-brief-{round}");
            Assert.True((await _fixture.Manager.DeleteAsync(branch.Name, purge: true, Token)).Succeeded);
            Assert.False(Directory.Exists(Path.Combine(_fixture.Options.StateDirectory, "run", $"b{branch.Number}")));
            Assert.False(Directory.Exists(Path.Combine(_fixture.Options.StateDirectory, "pool", "branches", $"b{branch.Number}")));
        }

        Assert.Equal(0, _fixture.Manager.Status.Running);
    }

    ComputeState[] States(IEnumerable<Branch> branches) => [.. branches.Select(branch => _fixture.Manager.Find(branch.Name.ToString()).Value!.Compute)];
}
