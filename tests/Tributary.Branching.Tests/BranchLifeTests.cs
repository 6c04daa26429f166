using Npgsql;
using static Tributary.Branching.Tests.BranchingFixture;

namespace Tributary.Branching.Tests;

/// <summary>What becomes of a branch after it has been made.</summary>
public sealed class BranchLifeTests(KeepingFixture keeping) : IClassFixture<KeepingFixture>
{
    readonly BranchingFixture fixture = keeping.Branching;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_fork_holds_all_that_its_parent_has_committed_and_neither_sees_the_other_afterwards(bool running)
    {
        var parent = await fixture.CreateAsync($"parent-{running}".ToLowerInvariant());
        await using var lease = await fixture.ConnectAsync(parent);
        // Asynchronous commits: the newest are in the server's memory alone.
        for (var i = 0; i < 20; i++)
            await ExecuteAsync(ConnectionString(lease), $"CREATE TABLE IF NOT EXISTS mine (x int); INSERT INTO mine VALUES ({i})");
        await ScalarAsync(ConnectionString(lease), "SELECT pg_create_physical_replication_slot('held', true)");
        if (!running)
        {
            await lease.DisposeAsync();
            await fixture.StopIdleAsync();
        }

        var fork = await ForkAsync(parent, $"fork-{running}".ToLowerInvariant());

        Assert.Equal(parent.Id, fork.ParentId);
        Assert.Equal(parent.Lsn, fork.Lsn);
        await using var forked = await fixture.ConnectAsync(fork);
        Assert.Equal(20L, await ScalarAsync(ConnectionString(forked), "SELECT count(*) FROM mine"));
        Assert.Equal(0L, await ScalarAsync(ConnectionString(forked), "SELECT count(*) FROM pg_replication_slots"));
        await ExecuteAsync(ConnectionString(forked), "DELETE FROM mine; CREATE TABLE own (x int)");
        await using var again = await fixture.ConnectAsync(parent);
        Assert.Equal(20L, await ScalarAsync(ConnectionString(again), "SELECT count(*) FROM mine"));
        Assert.Equal(1L, await ScalarAsync(ConnectionString(again), "SELECT count(*) FROM pg_replication_slots"));
        Assert.Equal(DBNull.Value, await ScalarAsync(ConnectionString(again), "SELECT to_regclass('own')::text"));
        Assert.NotEqual(fixture.Manager.PasswordOf(parent), fixture.Manager.PasswordOf(fork));
    }

    [Fact]
    public async Task A_fork_outlives_its_parent_and_can_be_what_it_was_at_first()
    {
        var parent = await fixture.CreateAsync("mortal");
        await using (var lease = await fixture.ConnectAsync(parent))
            await ExecuteAsync(ConnectionString(lease), "CREATE TABLE mine AS SELECT 1 AS x");
        var fork = await ForkAsync(parent, "heir");
        await using (var lease = await fixture.ConnectAsync(fork))
            await ExecuteAsync(ConnectionString(lease), "UPDATE mine SET x = 2");

        Assert.True((await fixture.Manager.DeleteAsync(parent.Name, purge: true, Token)).Succeeded);
        var toParent = await fixture.Manager.ResetAsync(fork.Name, ResetTarget.Parent, Token);
        var toBirth = await fixture.Manager.ResetAsync(fork.Name, ResetTarget.Birth, Token);

        Assert.Equal(BranchErrorKind.NotFound, toParent.Error?.Kind);
        Assert.Contains("--to birth", toParent.Error!.Message, StringComparison.Ordinal);
        Assert.True(toBirth.Succeeded, toBirth.Error?.Message);
        await using var after = await fixture.ConnectAsync(toBirth.Value);
        Assert.Equal(1, await ScalarAsync(ConnectionString(after), "SELECT x FROM mine"));
    }

    [Fact]
    public async Task A_reset_throws_away_what_was_done_and_keeps_id_name_and_password()
    {
        var branch = await fixture.CreateAsync("redo");
        var password = fixture.Manager.PasswordOf(branch);
        await using var lease = await fixture.ConnectAsync(branch);
        await using var session = new NpgsqlConnection(ConnectionString(lease));
        await session.OpenAsync(Token);
        await ExecuteAsync(ConnectionString(lease), "DROP TABLE accounts");
        await ExecuteAsync(fixture.Production.ConnectionString("bank"), "CREATE TABLE IF NOT EXISTS later (x int); INSERT INTO later VALUES (9)");

        var reset = await fixture.Manager.ResetAsync(branch.Name, ResetTarget.Parent, Token);

        Assert.True(reset.Succeeded, reset.Error?.Message);
        Assert.Equal(branch.Id, reset.Value.Id);
        Assert.NotEqual(branch.Number, reset.Value.Number);
        Assert.Equal(password, fixture.Manager.PasswordOf(reset.Value));
        Assert.True(reset.Value.Lsn > branch.Lsn);
        await Assert.ThrowsAnyAsync<NpgsqlException>(async () => await new NpgsqlCommand("SELECT 1", session).ExecuteScalarAsync(Token));
        await using var after = await fixture.ConnectAsync(reset.Value);
        Assert.Equal(1_000_000m, await ScalarAsync(ConnectionString(after), "SELECT sum(balance) FROM accounts"));
        Assert.Equal(9, await ScalarAsync(ConnectionString(after), "SELECT max(x) FROM later"));
        Assert.Equal(0L, await ScalarAsync(ConnectionString(after), "SELECT count(*) FROM pg_authid WHERE rolpassword IS NOT NULL"));
        Assert.False(Directory.Exists(Path.Combine(fixture.Options.StateDirectory, "pool", "branches", $"b{branch.Number}")));
    }

    [Fact]
    public async Task The_seed_that_a_branch_began_as_is_kept_for_its_reset()
    {
        // A seed that no other branch began as.
        await NewSeedsAsync(1);
        var branch = await fixture.CreateAsync("keeper");
        await using (var lease = await fixture.ConnectAsync(branch))
            await ExecuteAsync(ConnectionString(lease), "TRUNCATE accounts");
        await NewSeedsAsync(4);

        var reset = await fixture.Manager.ResetAsync(branch.Name, ResetTarget.Birth, Token);

        Assert.True(reset.Succeeded, reset.Error?.Message);
        Assert.Equal(branch.Lsn, reset.Value.Lsn);
        await using (var after = await fixture.ConnectAsync(reset.Value))
            Assert.Equal(1000L, await ScalarAsync(ConnectionString(after), "SELECT count(*) FROM accounts"));
        Assert.Contains(fixture.Manager.Status.Seeds, seed => seed.Id == branch.SeedId);
        await fixture.Manager.DeleteAsync(branch.Name, purge: true, Token);
        await NewSeedsAsync(2);
        Assert.DoesNotContain(fixture.Manager.Status.Seeds, seed => seed.Id == branch.SeedId);
    }

    [Fact]
    public async Task A_renamed_branch_is_the_same_branch_under_another_name()
    {
        var branch = await fixture.CreateAsync("old-name");
        await fixture.CreateAsync("taken-name");
        await using var lease = await fixture.ConnectAsync(branch);

        var taken = fixture.Manager.Rename(branch.Name, BranchName.Parse("taken-name"));
        var renamed = fixture.Manager.Rename(branch.Name, BranchName.Parse("new-name"));

        Assert.Equal(BranchErrorKind.AlreadyExists, taken.Error?.Kind);
        Assert.True(renamed.Succeeded, renamed.Error?.Message);
        Assert.Equal(fixture.Manager.PasswordOf(branch), fixture.Manager.PasswordOf(renamed.Value));
        Assert.Equal(BranchErrorKind.NotFound, fixture.Manager.Find("old-name").Error?.Kind);
        Assert.Equal(1, fixture.Manager.Find("new-name").Value?.Connections);
        await fixture.CreateAsync("old-name");
    }

    [Fact]
    public async Task A_protected_branch_is_neither_deleted_nor_reset_nor_ended_by_its_time_to_live()
    {
        var branch = await CreateAsync("precious", new BranchPolicy { IsProtected = true, Ttl = TimeSpan.FromSeconds(1) });

        var deleted = await fixture.Manager.DeleteAsync(branch.Name, purge: true, Token);
        var reset = await fixture.Manager.ResetAsync(branch.Name, ResetTarget.Parent, Token);
        await Task.Delay(TimeSpan.FromSeconds(3), TimeProvider.System, Token);

        Assert.Equal(BranchErrorKind.Protected, deleted.Error?.Kind);
        Assert.Equal(BranchErrorKind.Protected, reset.Error?.Kind);
        Assert.Contains("unprotect precious", reset.Error!.Message, StringComparison.Ordinal);
        Assert.True(fixture.Manager.Find("precious").Succeeded);
        fixture.Manager.SetPolicy(branch.Name, policy => policy with { IsProtected = false });
        await UntilAsync(() => !fixture.Manager.Find("precious").Succeeded, () => "its time to live does not end it");
    }

    [Fact]
    public async Task A_time_to_live_from_the_last_use_waits_for_who_is_in_it()
    {
        var branch = await CreateAsync("used", new BranchPolicy { Ttl = TimeSpan.FromSeconds(1), TtlFrom = TtlStart.LastUse });
        await using (await fixture.ConnectAsync(branch))
        {
            await Task.Delay(TimeSpan.FromSeconds(3), TimeProvider.System, Token);
            Assert.True(fixture.Manager.Find("used").Succeeded);
        }

        await UntilAsync(() => !fixture.Manager.Find("used").Succeeded, () => "its time to live does not end it");
    }

    [Fact]
    public async Task A_deleted_branch_can_be_restored_with_all_that_it_had_committed()
    {
        var branch = await fixture.CreateAsync("regretted");
        await using (var lease = await fixture.ConnectAsync(branch))
        {
            await ExecuteAsync(ConnectionString(lease), "CREATE TABLE mine AS SELECT 5 AS x");
            Assert.True((await fixture.Manager.DeleteAsync(branch.Name, purge: false, Token)).Succeeded);
        }

        Assert.Contains("tributary branch restore regretted", fixture.Manager.Find("regretted").Error?.Message, StringComparison.Ordinal);
        Assert.Contains(fixture.Manager.ListDeleted(), deleted => deleted.Id == branch.Id);
        await fixture.CreateAsync("regretted");
        var taken = await fixture.Manager.RestoreAsync(branch.Name, newName: null);
        var restored = await fixture.Manager.RestoreAsync(branch.Name, BranchName.Parse("regained"));

        Assert.Equal(BranchErrorKind.AlreadyExists, taken.Error?.Kind);
        Assert.True(restored.Succeeded, restored.Error?.Message);
        await using var after = await fixture.ConnectAsync(restored.Value);
        Assert.Equal(5, await ScalarAsync(ConnectionString(after), "SELECT x FROM mine"));
    }

    // Two servers on the same data would ruin it; each in its sandbox, they would not see each other.
    [Fact]
    public async Task A_branch_that_is_restored_while_its_server_is_ending_gets_no_second_one()
    {
        var branch = await fixture.CreateAsync("wavering");
        Task<BranchResult<Branch>> deletion;
        await using (var lease = await fixture.ConnectAsync(branch))
        {
            await ExecuteAsync(ConnectionString(lease), "CREATE TABLE mine AS SELECT x, repeat('x', 500) AS filler FROM generate_series(1, 100000) AS x");
            deletion = fixture.Manager.DeleteAsync(branch.Name, purge: false, Token);
        }

        var restored = await fixture.Manager.RestoreAsync(branch.Name, newName: null);
        var runsStill = File.Exists(Path.Combine(fixture.Options.StateDirectory, "pool", Branch.VolumeOf(branch.Number), "postmaster.pid"));
        await using var after = await fixture.ConnectAsync(restored.Value!);
        await deletion;

        Assert.False(runsStill);
        Assert.Equal(100000L, await ScalarAsync(ConnectionString(after), "SELECT count(*) FROM mine"));
    }

    [Fact]
    public async Task Settings_and_durability_hold_in_a_branch_as_of_now_too()
    {
        await ExecuteAsync(fixture.Production.ConnectionString("bank"), "CREATE TABLE IF NOT EXISTS later (x int); INSERT INTO later VALUES (1)");
        var made = await fixture.Manager.CreateAsync(
            new BranchRequest(BranchName.Parse("tuned"), BranchOrigin.Now)
            {
                Policy = new BranchPolicy { Durability = Durability.Durable, Settings = new Dictionary<string, string> { ["max_connections"] = "17", ["work_mem"] = "9MB" } },
            }, Token);
        Assert.True(made.Succeeded, made.Error?.Message);

        await using var lease = await fixture.ConnectAsync(made.Value);

        foreach (var (setting, value) in new[] { ("synchronous_commit", "on"), ("max_connections", "17"), ("work_mem", "9MB"), ("fsync", "on") })
            Assert.Equal(value, await ScalarAsync(ConnectionString(lease), $"SHOW {setting}"));
    }

    [Fact]
    public async Task A_branch_as_of_now_flushes_once_its_owner_has_it()
    {
        await ExecuteAsync(fixture.Production.ConnectionString("bank"), "CREATE TABLE IF NOT EXISTS later (x int); INSERT INTO later VALUES (2)");
        var branch = await fixture.CreateAsync("settling", BranchOrigin.Now);
        Assert.Equal("", branch.SeedId);

        await UntilAsync(() => fixture.Manager.Find("settling").Value!.UnsettledBoot is null, () => "the branch stays unflushed");

        await using var lease = await fixture.ConnectAsync(branch);
        Assert.Equal("on", await ScalarAsync(ConnectionString(lease), "SHOW fsync"));
    }

    [Fact]
    public async Task Labels_and_owner_are_kept_and_checked()
    {
        var branch = await CreateAsync("labelled", new BranchPolicy { Owner = "ann", Labels = new Dictionary<string, string> { ["team"] = "pricing" } });

        var wrong = fixture.Manager.SetPolicy(branch.Name, policy => policy with { Labels = new Dictionary<string, string> { ["Team!"] = "x" } });

        Assert.Equal(BranchErrorKind.InvalidRequest, wrong.Error?.Kind);
        Assert.Equal("pricing", fixture.Manager.Find("labelled").Value?.Policy.Labels["team"]);
        Assert.Equal("ann", fixture.Manager.Find("labelled").Value?.Policy.Owner);
    }

    [Fact]
    public async Task An_account_is_kept_of_what_a_branch_uses()
    {
        var branch = await fixture.CreateAsync("accounted");
        await using (var lease = await fixture.ConnectAsync(branch))
            await ExecuteAsync(ConnectionString(lease), "SELECT sum(i) FROM generate_series(1, 3000000) i");
        await fixture.StopIdleAsync();

        var usage = fixture.Manager.Find("accounted").Value!.Usage;

        Assert.Equal(1, usage.Connections);
        Assert.True(usage.CpuTime > TimeSpan.FromMilliseconds(50), $"{usage}");
        Assert.True(usage.RunTime > TimeSpan.Zero, $"{usage}");
    }

    async Task<Branch> CreateAsync(string name, BranchPolicy policy)
    {
        var made = await fixture.Manager.CreateAsync(new BranchRequest(BranchName.Parse(name), BranchOrigin.Seed) { Policy = policy }, Token);
        Assert.True(made.Succeeded, made.Error?.Message);
        return made.Value;
    }

    async Task<Branch> ForkAsync(Branch parent, string name)
    {
        var made = await fixture.Manager.CreateAsync(new BranchRequest(BranchName.Parse(name), BranchOrigin.Branch) { Parent = parent.Name.ToString() }, Token);
        Assert.True(made.Succeeded, made.Error?.Message);
        return made.Value;
    }

    // Moves production until so many seeds have been made anew.
    async Task NewSeedsAsync(int count)
    {
        for (var i = 0; i < count; i++)
        {
            var newest = fixture.Manager.Status.Seeds[0].Id;
            await ExecuteAsync(fixture.Production.ConnectionString("bank"), "CREATE TABLE IF NOT EXISTS later (x int); INSERT INTO later VALUES (3)");
            await UntilAsync(() => fixture.Manager.Status.Seeds[0].Id != newest, () => $"no new seed: {fixture.Manager.Status}");
        }
    }
}

/// <summary>Deleted branches are kept for a while.</summary>
public sealed class KeepingFixture : IAsyncLifetime
{
    public BranchingFixture Branching { get; } = new() { Adjust = static options => options with { RestoreGrace = TimeSpan.FromMinutes(10) } };

    public ValueTask InitializeAsync() => Branching.InitializeAsync();

    public ValueTask DisposeAsync() => Branching.DisposeAsync();
}
