using Npgsql;
using Tributary.Branching.Storage;
using static Tributary.Branching.Tests.BranchingFixture;

namespace Tributary.Branching.Tests;

public sealed class BranchLifecycleTests(BranchingFixture fixture) : IClassFixture<BranchingFixture>
{
    [Fact]
    public async Task A_branch_holds_productions_rows_and_its_writes_stay_in_it()
    {
        await fixture.FreshSeedAsync();
        var first = await fixture.CreateAsync("writes-one");
        var second = await fixture.CreateAsync("writes-two");
        await using var firstLease = await fixture.ConnectAsync(first);
        await using var secondLease = await fixture.ConnectAsync(second);

        await ExecuteAsync(ConnectionString(firstLease), "DELETE FROM accounts; CREATE TABLE mine (x int)");

        Assert.Equal(0L, await ScalarAsync(ConnectionString(firstLease), "SELECT count(*) FROM accounts"));
        Assert.Equal(1_000_000m, await ScalarAsync(ConnectionString(secondLease), "SELECT sum(balance) FROM accounts"));
        Assert.Equal(1000L, await ScalarAsync(fixture.Production.ConnectionString("bank"), "SELECT count(*) FROM accounts"));
        Assert.Equal(DBNull.Value, await ScalarAsync(ConnectionString(secondLease), "SELECT to_regclass('mine')::text"));
    }

    [Fact]
    public async Task A_seed_follows_what_production_commits()
    {
        await ExecuteAsync(fixture.Production.ConnectionString("bank"), "CREATE TABLE IF NOT EXISTS news (x int); INSERT INTO news VALUES (42)");
        await fixture.FreshSeedAsync();

        var branch = await fixture.CreateAsync("news");
        await using var lease = await fixture.ConnectAsync(branch);

        Assert.Equal(42, await ScalarAsync(ConnectionString(lease), "SELECT max(x) FROM news"));
        Assert.True(branch.Lsn.Value > 0);
        Assert.True(branch.CreatedAt - branch.DataTime < TimeSpan.FromMinutes(1));
    }

    [Fact]
    public async Task A_deleted_branch_leaves_nothing_and_its_sessions_are_cut()
    {
        var branch = await fixture.CreateAsync("gone");
        await using var lease = await fixture.ConnectAsync(branch);
        await using var connection = new NpgsqlConnection(ConnectionString(lease));
        await connection.OpenAsync(Token);

        var deleted = await fixture.Manager.DeleteAsync(branch.Name, purge: true, Token);

        Assert.True(deleted.Succeeded);
        await Assert.ThrowsAnyAsync<NpgsqlException>(async () => await new NpgsqlCommand("SELECT 1", connection).ExecuteScalarAsync(Token));
        Assert.False(Directory.Exists(Path.Combine(fixture.Options.StateDirectory, "pool", "branches", $"b{branch.Number}")));
        Assert.False(Directory.Exists(Path.Combine(fixture.Options.StateDirectory, "run", $"b{branch.Number}")));
        Assert.Equal(BranchErrorKind.NotFound, fixture.Manager.Find("gone").Error?.Kind);
        var again = await fixture.CreateAsync("gone");
        Assert.NotEqual(branch.Id, again.Id);
        Assert.NotEqual(fixture.Manager.PasswordOf(branch), fixture.Manager.PasswordOf(again));
    }

    [Fact]
    public async Task A_branch_that_falls_asleep_keeps_no_log_of_what_it_has_written()
    {
        var branch = await fixture.CreateAsync("logless");
        await using (var lease = await fixture.ConnectAsync(branch))
            await ExecuteAsync(ConnectionString(lease), "CREATE TABLE written AS SELECT i, repeat('x', 400) AS x FROM generate_series(1, 15000) i");
        await fixture.StopIdleAsync();

        var log = Path.Combine(fixture.Options.StateDirectory, "pool", "branches", $"b{branch.Number}", "pg_wal");
        var bytes = (await StorageCommand.TotalBytesAsync([log], Token))[log];
        Assert.InRange(bytes, 0, 2 << 20);

        await using var awake = await fixture.ConnectAsync(branch);
        Assert.Equal(15000L, await ScalarAsync(ConnectionString(awake), "SELECT count(*) FROM written"));
    }

    [Fact]
    public async Task Of_many_deletions_at_once_one_deletes_and_a_new_branch_of_the_name_stays()
    {
        var branch = await fixture.CreateAsync("contested");

        var deletions = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() => fixture.Manager.DeleteAsync(branch.Name, purge: true, Token), Token)));

        Assert.Single(deletions, deletion => deletion.Succeeded);
        Assert.All(deletions.Where(deletion => !deletion.Succeeded), deletion => Assert.Equal(BranchErrorKind.NotFound, deletion.Error?.Kind));
        var again = await fixture.CreateAsync("contested");
        Assert.Equal(again.Id, fixture.Manager.Find("contested").Value?.Id);
    }

    [Fact]
    public async Task A_name_is_taken_once_and_an_unknown_one_gets_near_names()
    {
        await fixture.CreateAsync("pricing-april");

        var twice = await fixture.Manager.CreateAsync(new BranchRequest(BranchName.Parse("pricing-april"), BranchOrigin.Seed), Token);
        var unknown = fixture.Manager.Find("pricing-aprli");

        Assert.Equal(BranchErrorKind.AlreadyExists, twice.Error?.Kind);
        Assert.Contains("Did you mean pricing-april?", unknown.Error?.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_repeated_request_with_one_key_makes_one_branch()
    {
        var first = await fixture.Manager.CreateAsync(new BranchRequest(BranchName.Parse("once"), BranchOrigin.Seed) { IdempotencyKey = "key-1" }, Token);
        var second = await fixture.Manager.CreateAsync(new BranchRequest(BranchName.Parse("once"), BranchOrigin.Seed) { IdempotencyKey = "key-1" }, Token);

        Assert.Equal(first.Value?.Id, second.Value?.Id);
    }

    [Fact]
    public async Task Twenty_branches_at_once_are_all_usable_and_cost_little()
    {
        await fixture.FreshSeedAsync();
        var branches = await Task.WhenAll(Enumerable.Range(0, 20).Select(i => fixture.CreateAsync($"many-{i}")));

        await Parallel.ForEachAsync(branches, Token, async (branch, _) =>
        {
            await using var lease = await fixture.ConnectAsync(branch);
            Assert.Equal(1_000_000m, await ScalarAsync(ConnectionString(lease), "SELECT sum(balance) FROM accounts"));
        });

        var usage = await fixture.Manager.MeasureAsync(whole: true, Token);
        foreach (var branch in branches)
        {
            var bytes = usage.Branches[branch.Name.ToString()];
            Assert.InRange(bytes.ExclusiveBytes, 1, fixture.Manager.Status.Driver == "btrfs" ? bytes.TotalBytes / 10 : bytes.TotalBytes);
            await fixture.Manager.DeleteAsync(branch.Name, purge: true, Token);
        }
    }

    [Fact]
    public async Task A_crashed_compute_starts_again_with_what_was_committed()
    {
        var branch = await fixture.CreateAsync("crash");
        await using (var lease = await fixture.ConnectAsync(branch))
        {
            await ExecuteAsync(ConnectionString(lease), "CREATE TABLE kept AS SELECT 7 AS x; CHECKPOINT");
            var postmaster = Path.Combine(fixture.Options.StateDirectory, "pool", "branches", $"b{branch.Number}", "postmaster.pid");
            Assert.True(File.Exists(postmaster));
            // A SIGQUIT to process 1 of the sandbox is an immediate shutdown, as a crash is.
            await ExecuteAsync(ConnectionString(lease), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'checkpointer'");
        }

        await using var second = await fixture.ConnectAsync(branch);
        await UntilAsync(() => CanRead(second).GetAwaiter().GetResult(), () => "the branch does not come back");
    }

    [Fact]
    public async Task An_idle_branch_sleeps_and_wakes_with_its_data()
    {
        var branch = await fixture.CreateAsync("sleeper");
        await using (var lease = await fixture.ConnectAsync(branch))
        {
            Assert.NotNull(lease.WakeTime);
            await ExecuteAsync(ConnectionString(lease), "CREATE TABLE dream AS SELECT 1 AS x");
            Assert.Equal(ComputeState.Running, fixture.Manager.Find("sleeper").Value?.Compute);
        }

        await fixture.StopIdleAsync();
        Assert.Equal(ComputeState.Asleep, fixture.Manager.Find("sleeper").Value?.Compute);
        await using var again = await fixture.ConnectAsync(branch);

        Assert.NotNull(again.WakeTime);
        Assert.Equal(1, await ScalarAsync(ConnectionString(again), "SELECT x FROM dream"));
    }

    static async Task<bool> CanRead(ComputeLease lease)
    {
        try
        {
            return await ScalarAsync(ConnectionString(lease), "SELECT x FROM kept") is 7;
        }
        catch (NpgsqlException)
        {
            return false;
        }
    }
}
