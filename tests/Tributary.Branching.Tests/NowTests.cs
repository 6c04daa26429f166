using System.Globalization;
using Npgsql;
using static Tributary.Branching.Tests.BranchingFixture;

namespace Tributary.Branching.Tests;

/// <summary>Branches as of now: what production acknowledged before the request is in them, and the spare that they are made of has let go of main.</summary>
public sealed class NowTests(BranchingFixture fixture) : IClassFixture<BranchingFixture>
{
    /// <summary>Branches that are taken while money moves; a longer run names more.</summary>
    static readonly int BankBranches = int.Parse(Environment.GetEnvironmentVariable("TRIBUTARY_BANK_BRANCHES") ?? "8", CultureInfo.InvariantCulture);

    [Theory]
    [InlineData("on")]
    [InlineData("off")]
    public async Task Holds_what_was_acknowledged_just_before_the_request(string synchronousCommit)
    {
        await SpareAsync();
        await ExecuteAsync(fixture.Production.ConnectionString("bank"), "CREATE TABLE IF NOT EXISTS moments (x text)");
        for (var round = 0; round < 4; round++)
        {
            var mark = $"{synchronousCommit}-{round}";
            await ExecuteAsync(fixture.Production.ConnectionString("bank"), $"SET synchronous_commit = {synchronousCommit}; INSERT INTO moments VALUES ('{mark}')");

            var branch = await fixture.CreateAsync($"moment-{mark}", BranchOrigin.Now);

            await using var lease = await fixture.ConnectAsync(branch);
            Assert.Equal(1L, await ScalarAsync(ConnectionString(lease), $"SELECT count(*) FROM moments WHERE x = '{mark}'"));
            Assert.InRange(branch.CreatedAt - branch.DataTime, TimeSpan.Zero, TimeSpan.FromSeconds(30));
            await fixture.Manager.DeleteAsync(branch.Name, purge: true, Token);
        }
    }

    [Fact]
    public async Task A_promoted_spare_is_a_branch_like_any_other()
    {
        await SpareAsync();
        await MoveAsync();
        var branch = await fixture.CreateAsync("promoted", BranchOrigin.Now);
        Assert.Equal("", branch.SeedId);
        await using (var lease = await fixture.ConnectAsync(branch))
        {
            Assert.Null(lease.WakeTime);
            await ExecuteAsync(ConnectionString(lease), "CREATE TABLE mine AS SELECT 1 AS x");
            Assert.Equal(1_000_000m, await ScalarAsync(ConnectionString(lease), "SELECT sum(balance) FROM accounts"));
            // It has none while it waits and until it is settled.
            await UntilAsync(async () => await ScalarAsync(ConnectionString(lease), "SHOW autovacuum") is "on", () => "autovacuum stays off");
        }

        await fixture.StopIdleAsync();
        await using var again = await fixture.ConnectAsync(branch);

        Assert.NotNull(again.WakeTime);
        Assert.Equal(1, await ScalarAsync(ConnectionString(again), "SELECT x FROM mine"));
        Assert.Equal("promoted", await ScalarAsync(ConnectionString(again), "SHOW cluster_name"));
    }

    [Fact]
    public async Task A_promoted_spare_has_no_way_to_main_and_knows_no_password()
    {
        await SpareAsync();
        await MoveAsync();
        var branch = await fixture.CreateAsync("cut-off", BranchOrigin.Now);
        await using var lease = await fixture.ConnectAsync(branch);
        var connection = ConnectionString(lease);

        Assert.Equal(0L, await ScalarAsync(connection, "SELECT count(*) FROM pg_ls_dir('/main')"));
        Assert.Equal("", await ScalarAsync(connection, "SHOW primary_conninfo"));
        Assert.Equal(false, await ScalarAsync(connection, "SELECT pg_is_in_recovery()"));
        Assert.Equal(0L, await ScalarAsync(connection, "SELECT count(*) FROM pg_stat_wal_receiver"));
        Assert.Equal(0L, await ScalarAsync(connection, "SELECT count(*) FROM pg_authid WHERE rolpassword IS NOT NULL"));
        Assert.Equal("off", await ScalarAsync(connection, "SHOW archive_mode"));
        await ExecuteAsync(connection, "CREATE EXTENSION dblink");
        foreach (var host in new[] { "/main", "/main/.s.PGSQL.5432", fixture.Production.SocketDirectory, "127.0.0.1" })
        {
            var refused = await Assert.ThrowsAsync<PostgresException>(() => ExecuteAsync(connection, $"SELECT dblink_connect('host={host} port={fixture.Production.Port} user=postgres')"));
            Assert.Equal("08001", refused.SqlState);
        }
    }

    // Before its first checkpoint.
    [Fact]
    public async Task A_promoted_spare_that_crashes_at_once_is_defused_still()
    {
        await SpareAsync();
        await MoveAsync();
        var branch = await fixture.CreateAsync("crashed", BranchOrigin.Now);
        KillSandboxOf(Path.Combine(fixture.Options.StateDirectory, "run", $"b{branch.Number}", "conf"));

        await UntilAsync(() => fixture.Manager.CrashesOf(branch) == 1, () => "it has not crashed");
        await using var lease = await fixture.ConnectAsync(branch);

        Assert.Equal(0L, await ScalarAsync(ConnectionString(lease), "SELECT count(*) FROM pg_authid WHERE rolpassword IS NOT NULL"));
        Assert.Equal((false, ""), (await ScalarAsync(ConnectionString(lease), "SELECT pg_is_in_recovery()"), await ScalarAsync(ConnectionString(lease), "SHOW primary_conninfo")));
        Assert.Equal(1_000_000m, await ScalarAsync(ConnectionString(lease), "SELECT sum(balance) FROM accounts"));
    }

    [Fact]
    public async Task Requests_at_once_share_one_cut_and_each_is_usable()
    {
        await SpareAsync();
        await MoveAsync();
        await ExecuteAsync(fixture.Production.ConnectionString("bank"), "CREATE TABLE burst AS SELECT 42 AS x");

        var branches = await Task.WhenAll(Enumerable.Range(0, 8).Select(i => fixture.CreateAsync($"burst-{i}", BranchOrigin.Now)));

        // A request that came after the cut has one of its own; most share.
        Assert.True(branches.Select(branch => branch.Lsn).Distinct().Count() <= 2, string.Join(' ', branches.Select(branch => branch.Lsn)));
        foreach (var branch in branches)
        {
            await using var lease = await fixture.ConnectAsync(branch);
            Assert.Equal(42, await ScalarAsync(ConnectionString(lease), "SELECT x FROM burst"));
        }
    }

    [Fact]
    public async Task Every_branch_taken_while_money_moves_holds_the_transfer_before_it_and_the_whole_sum()
    {
        await SpareAsync();
        await ExecuteAsync(fixture.Production.ConnectionString("bank"), "CREATE TABLE IF NOT EXISTS transfers (id bigint PRIMARY KEY)");
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var transfers = TransferAsync(int.MaxValue, stop.Token);
        var taken = 0;
        for (var round = 0; taken < BankBranches; round++)
        {
            await ExecuteAsync(fixture.Production.ConnectionString("bank"), $"INSERT INTO transfers VALUES ({round})");
            // One alone is promoted for its requester; several share a cut.
            var branches = await Task.WhenAll(Enumerable.Range(taken, Math.Min(1 + (round % 4), BankBranches - taken)).Select(number => fixture.CreateAsync($"bank-{number}", BranchOrigin.Now)));
            taken += branches.Length;
            foreach (var branch in branches)
            {
                await using (var lease = await fixture.ConnectAsync(branch))
                {
                    Assert.Equal(1_000_000m, await ScalarAsync(ConnectionString(lease), "SELECT sum(balance) FROM accounts"));
                    Assert.Equal((long)round + 1, await ScalarAsync(ConnectionString(lease), "SELECT count(*) FROM transfers"));
                }

                await fixture.Manager.DeleteAsync(branch.Name, purge: true, Token);
            }
        }

        await stop.CancelAsync();
        Assert.True(await transfers > 0);
    }

    async Task<int> TransferAsync(int most, CancellationToken cancellationToken)
    {
        await using var connection = new NpgsqlConnection(fixture.Production.ConnectionString("bank") + ";Pooling=false");
        await connection.OpenAsync(Token);
        var done = 0;
        while (done < most && !cancellationToken.IsCancellationRequested)
        {
            await using var command = new NpgsqlCommand(
                $"BEGIN; UPDATE accounts SET balance = balance - 1 WHERE id = {(done % 1000) + 1}; UPDATE accounts SET balance = balance + 1 WHERE id = {((done + 7) % 1000) + 1}; COMMIT", connection);
            await command.ExecuteNonQueryAsync(Token);
            done++;
        }

        return done;
    }

    Task SpareAsync() => UntilAsync(() => fixture.Manager.Status.SparesReady > 0, () => $"no spare: {fixture.Manager.Status}");

    Task MoveAsync() => ExecuteAsync(fixture.Production.ConnectionString("bank"), "CREATE TABLE IF NOT EXISTS movement (x int); INSERT INTO movement VALUES (1)");
}
