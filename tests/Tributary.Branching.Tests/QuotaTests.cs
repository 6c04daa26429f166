using Npgsql;
using static Tributary.Branching.Tests.BranchingFixture;

namespace Tributary.Branching.Tests;

/// <summary>Each limit refuses what is beyond it, says which it is, and lets go of it when there is room again.</summary>
public sealed class QuotaTests : IAsyncLifetime
{
    const long Mebibyte = 1 << 20;

    readonly BranchingFixture _fixture = new()
    {
        Adjust = static options => options with { BranchesMax = 4, BranchesPerOwnerMax = 2, RunningMax = 2, BranchBytesMax = 64 * Mebibyte, RestoreGrace = TimeSpan.FromMinutes(10) },
    };

    public ValueTask InitializeAsync() => _fixture.InitializeAsync();

    public ValueTask DisposeAsync() => _fixture.DisposeAsync();

    [Fact]
    public async Task An_owner_and_all_together_have_so_many_branches_and_no_more()
    {
        var first = (await MakeAsync("a1", "ann")).Value!;
        Assert.True((await MakeAsync("a2", "ann")).Succeeded);
        Refused("branches-per-owner-max", await MakeAsync("a3", "ann"));
        Assert.True((await MakeAsync("b1", "bob")).Succeeded);
        Assert.True((await MakeAsync("free", null)).Succeeded);
        Refused("branches-max", await MakeAsync("b2", "bob"));

        // What exists stays and may be renamed; it may not be given to somebody who has enough.
        Assert.True(_fixture.Manager.Rename(BranchName.Parse("free"), BranchName.Parse("renamed")).Succeeded);
        Refused("branches-per-owner-max", _fixture.Manager.SetPolicy(BranchName.Parse("renamed"), policy => policy with { Owner = "ann" }));

        Assert.True((await _fixture.Manager.DeleteAsync(first.Name, purge: false, Token)).Succeeded);
        Assert.True((await MakeAsync("a4", "ann")).Succeeded);
        Assert.True((await _fixture.Manager.DeleteAsync(BranchName.Parse("b1"), purge: true, Token)).Succeeded);
        Refused("branches-per-owner-max", await _fixture.Manager.RestoreAsync(first.Name, newName: null));
    }

    [Fact]
    public async Task So_many_run_at_once_and_one_that_idles_makes_room()
    {
        await UntilAsync(() => _fixture.Manager.Status.SparesReady > 0, () => $"no spare: {_fixture.Manager.Status}");
        var (first, second) = (await _fixture.CreateAsync("first", BranchOrigin.Now), await _fixture.CreateAsync("second"));
        await using (await _fixture.ConnectAsync(first))
        {
            await using (await _fixture.ConnectAsync(second))
            {
                await UntilAsync(() => _fixture.Manager.Status.SparesReady > 0, () => $"no spare: {_fixture.Manager.Status}");
                var third = await _fixture.CreateAsync("third", BranchOrigin.Now);
                Assert.Equal(ComputeState.Asleep, Now(third).Compute);
                Refused("running-max", await _fixture.Manager.ConnectAsync(third.Name, Token));
                Assert.Equal(2, Running());
            }

            var leases = await Task.WhenAll(_fixture.ConnectAsync(Now("third")), _fixture.ConnectAsync(Now("third")));
            Assert.Equal(1_000_000m, await ScalarAsync(ConnectionString(leases[0]), "SELECT sum(balance) FROM accounts"));
            Assert.Equal((ComputeState.Running, ComputeState.Asleep, 2), (Now(first).Compute, Now(second).Compute, Running()));
            foreach (var lease in leases)
                await lease.DisposeAsync();
        }
    }

    [Theory]
    [InlineData("CREATE TABLE filler{0} AS SELECT repeat('x', 1000) FROM generate_series(1, 10000); CHECKPOINT")]
    [InlineData("COPY (SELECT repeat('x', 1000) FROM generate_series(1, 10000)) TO '/data/filler{0}'")]
    [InlineData("SELECT lo_from_bytea(0, decode(string_agg(md5(i + {0} || 'x'), ''), 'hex')) FROM generate_series(1, 200000) AS i; CHECKPOINT")]
    public async Task A_branch_that_has_written_too_much_is_stopped_until_it_is_reset_and_loses_nothing(string write)
    {
        var greedy = await _fixture.CreateAsync("greedy");
        await using (var lease = await _fixture.ConnectAsync(greedy))
        {
            var cut = await Assert.ThrowsAnyAsync<NpgsqlException>(async () =>
            {
                for (var i = 0; i < 1000; i++)
                {
                    await ExecuteAsync(ConnectionString(lease), write.Replace("{0}", $"{i}", StringComparison.Ordinal));
                    await Task.Delay(TimeSpan.FromMilliseconds(200), TimeProvider.System, Token);
                }
            });
            Assert.NotNull(cut);
        }

        await UntilAsync(() => Now(greedy).Compute == ComputeState.Asleep, () => "it runs on");
        Refused("branch-bytes-max", await _fixture.Manager.ConnectAsync(greedy.Name, Token));
        Assert.True((await _fixture.Manager.ResetAsync(greedy.Name, ResetTarget.Birth, Token)).Succeeded);
        await using var after = await _fixture.ConnectAsync(Now(greedy));
        Assert.Equal(1_000_000m, await ScalarAsync(ConnectionString(after), "SELECT sum(balance) FROM accounts"));
    }

    static void Refused<T>(string limit, BranchResult<T> result)
        where T : class
    {
        Assert.Equal(BranchErrorKind.LimitReached, result.Error?.Kind);
        Assert.Contains(limit, result.Error!.Message, StringComparison.Ordinal);
    }

    Task<BranchResult<Branch>> MakeAsync(string name, string? owner) => _fixture.Manager.CreateAsync(
        new BranchRequest(BranchName.Parse(name), BranchOrigin.Seed) { Policy = BranchPolicy.Default with { Owner = owner } }, Token);

    int Running() => _fixture.Manager.List().Count(branch => branch.Compute != ComputeState.Asleep);

    Branch Now(Branch branch) => Now(branch.Name.ToString());

    Branch Now(string name) => _fixture.Manager.Find(name).Value!;
}
