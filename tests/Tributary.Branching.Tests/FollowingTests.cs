using Tributary.Postgres.Programs;
using Tributary.Testing;
using static Tributary.Branching.Tests.BranchingFixture;

namespace Tributary.Branching.Tests;

/// <summary>Main's tie to production through what happens to production: it goes on, or begins anew and says so.</summary>
public sealed class FollowingTests : IAsyncLifetime
{
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    BranchingFixture _fixture = new() { Adjust = static options => options with { SlotBytesMax = 64L << 20 }, ProductionSettings = ["wal_keep_size = 0"] };

    public ValueTask InitializeAsync() => _fixture.InitializeAsync();

    public ValueTask DisposeAsync() => _fixture.DisposeAsync();

    [Fact]
    public async Task Main_goes_on_after_productions_restart_and_after_a_failover_to_a_standby_without_the_slot()
    {
        await _fixture.Production.StopAsync("INT", Token);
        await _fixture.Production.StartAsync(Token);
        await ExecuteAsync(Bank, "CREATE TABLE told AS SELECT 1 AS x");
        await FollowsAsync("SELECT max(x) FROM told", 1);

        // A standby that had received everything takes over: the same data, another timeline, no slot.
        await _fixture.Production.StopAsync("INT", Token);
        RemoveSlots();
        await PromoteAsync();
        await ExecuteAsync(Bank, "INSERT INTO told VALUES (2)");

        await FollowsAsync("SELECT max(x) FROM told", 2);
        Assert.Equal(1L, await ScalarAsync(Bank, "SELECT count(*) FROM pg_replication_slots WHERE active"));
        var branch = await _fixture.CreateAsync("after-failover", BranchOrigin.Now);
        await using var lease = await _fixture.ConnectAsync(branch);
        Assert.Equal(2, await ScalarAsync(ConnectionString(lease), "SELECT max(x) FROM told"));
    }

    [Fact]
    public async Task Main_begins_anew_when_production_has_left_its_history_and_branches_stay()
    {
        await ExecuteAsync(Bank, "CREATE TABLE told AS SELECT 1 AS x");
        await _fixture.Production.StopAsync("INT", Token);
        var behind = TestFolder.New("behind");
        (await ChildProcesses.RunAsync(new ChildProcessSpec("cp", ["-a", _fixture.Production.DataDirectory, behind]), Token)).EnsureSucceeded("cp");
        await _fixture.Production.StartAsync(Token);
        await ExecuteAsync(Bank, "INSERT INTO told SELECT 2 FROM generate_series(1, 10000)");
        await FollowsAsync("SELECT max(x) FROM told", 2);
        var kept = await _fixture.CreateAsync("kept");

        // A standby that was behind takes over: what main has replayed since never happened.
        await _fixture.Production.StopAsync("QUIT", Token);
        Directory.Delete(_fixture.Production.DataDirectory, recursive: true);
        (await ChildProcesses.RunAsync(new ChildProcessSpec("cp", ["-a", Path.Combine(behind, "data"), _fixture.Production.DataDirectory]), Token)).EnsureSucceeded("cp");
        RemoveSlots();
        await PromoteAsync();
        await ExecuteAsync(Bank, "INSERT INTO told VALUES (3)");

        // Main is beyond production's position, on a timeline that has ended.
        var present = await PresentAsync("present");
        await using (var now = await _fixture.ConnectAsync(present))
            Assert.Equal("1,3", await ScalarAsync(ConnectionString(now), "SELECT string_agg(DISTINCT x::text, ',') FROM told"));
        await FollowsAsync("SELECT string_agg(DISTINCT x::text, ',') FROM told", "1,3");
        await using var lease = await _fixture.ConnectAsync(kept);
        Assert.Equal(2, await ScalarAsync(ConnectionString(lease), "SELECT max(x) FROM told"));
        var reset = await _fixture.Manager.ResetAsync(kept.Name, ResetTarget.Birth, Token);
        Assert.True(reset.Succeeded, reset.Error?.Message);
    }

    [Fact]
    public async Task Production_keeps_no_more_log_for_a_main_that_is_stuck_than_the_limit()
    {
        var receiver = await ReceiverAsync();
        await SignalAsync("STOP", receiver);
        await ExecuteAsync(Bank, "CREATE TABLE big AS SELECT i, repeat('x', 500) AS text FROM generate_series(1, 200000) i");

        await UntilAsync(() => _fixture.Manager.Status.LastError?.Contains("branching.slot-bytes-max", StringComparison.Ordinal) == true, () => $"{_fixture.Manager.Status}");
        await SignalAsync("CONT", receiver);

        await FollowsAsync("SELECT count(*) FROM big", 200000L);
    }

    [Fact]
    public async Task The_limit_holds_also_for_a_main_that_does_not_start()
    {
        await File.WriteAllTextAsync(Path.Combine(_fixture.Options.StateDirectory, "pool", "main", "PG_VERSION"), "99\n", Token);
        await _fixture.StopManagerAsync();
        await ExecuteAsync(Bank, "CREATE TABLE big AS SELECT i, repeat('x', 500) AS text FROM generate_series(1, 200000) i");

        await _fixture.StartManagerAsync(_fixture.Options);

        await UntilAsync(() => _fixture.Manager.Status.LastError?.Contains("branching.slot-bytes-max", StringComparison.Ordinal) == true, () => $"{_fixture.Manager.Status}");
        await FollowsAsync("SELECT count(*) FROM big", 200000L);
    }

    [Fact]
    public async Task A_production_that_does_not_answer_and_one_that_is_another_cluster_are_told()
    {
        await using var other = new SourcePosition(_fixture.Options, "1", TimeProvider.System);
        var told = await Assert.ThrowsAsync<BranchingException>(() => other.InsertedAsync(Token));
        Assert.Contains("is another cluster now", told.Error.Message, StringComparison.Ordinal);

        await _fixture.Production.StopAsync("INT", Token);
        await UntilAsync(() => _fixture.Manager.Status.LastError?.Contains("does not answer", StringComparison.Ordinal) == true, () => $"{_fixture.Manager.Status}");
        await _fixture.Production.StartAsync(Token);
        await UntilAsync(() => _fixture.Manager.Status.LastError is null, () => $"{_fixture.Manager.Status}");
    }

    [Fact]
    public async Task Another_cluster_that_productions_name_leads_to_gets_no_slot_and_main_goes_on_when_it_leads_back()
    {
        await ExecuteAsync(Bank, "CREATE TABLE told AS SELECT 1 AS x");
        await FollowsAsync("SELECT max(x) FROM told", 1);
        var production = _fixture.Production;
        var away = Path.Combine(TestFolder.New("away"), "data");
        await production.StopAsync("INT", Token);
        Directory.Move(production.DataDirectory, away);
        Directory.CreateDirectory(production.DataDirectory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        PostgresUser.Own(production.DataDirectory);
        (await ChildProcesses.RunAsync(new ChildProcessSpec(production.Installation.Program("initdb"), ["-D", production.DataDirectory, "--username=postgres", "--auth=trust"]) { AsPostgresUser = true }, Token)).EnsureSucceeded("initdb");
        foreach (var file in new[] { "postgresql.conf", "postgresql.auto.conf", "pg_hba.conf" })
            File.Copy(Path.Combine(away, file), Path.Combine(production.DataDirectory, file), overwrite: true);
        await production.StartAsync(Token);
        await ExecuteAsync(production.ConnectionString("postgres"), "CREATE DATABASE bank");

        await UntilAsync(() => _fixture.Manager.Status.LastError?.Contains("is another cluster now", StringComparison.Ordinal) == true, () => $"{_fixture.Manager.Status}");
        Assert.Equal(0L, await ScalarAsync(Bank, "SELECT count(*) FROM pg_replication_slots"));
        await production.StopAsync("INT", Token);
        Directory.Delete(production.DataDirectory, recursive: true);
        Directory.Move(away, production.DataDirectory);
        await production.StartAsync(Token);
        await ExecuteAsync(Bank, "INSERT INTO told VALUES (2)");

        await FollowsAsync("SELECT max(x) FROM told", 2);
        Assert.Equal(1L, await ScalarAsync(Bank, "SELECT count(*) FROM pg_replication_slots"));
    }

    // Asks until main has found its way to production.
    async Task<Branch> PresentAsync(string name)
    {
        var started = TimeProvider.System.GetTimestamp();
        while (true)
        {
            var made = await _fixture.Manager.CreateAsync(new BranchRequest(BranchName.Parse(name), BranchOrigin.Now), Token);
            if (made.Value is { } branch)
                return branch;
            Assert.True(TimeProvider.System.GetElapsedTime(started) < Patience, $"{made.Error?.Message} after {Patience}");
            await Task.Delay(TimeSpan.FromMilliseconds(300), TimeProvider.System, Token);
        }
    }

    string Bank => _fixture.Production.ConnectionString("bank");

    // Waits until a branch of the newest seed says so.
    async Task FollowsAsync(string question, object answer)
    {
        var started = TimeProvider.System.GetTimestamp();
        object? said = null;
        while (true)
        {
            var made = await _fixture.Manager.CreateAsync(new BranchRequest(BranchName.Parse($"look-{Guid.NewGuid():N}"), BranchOrigin.Seed), Token);
            if (made.Value is { } branch)
            {
                await using (var lease = await _fixture.ConnectAsync(branch))
                    said = await TryScalarAsync(ConnectionString(lease), question);
                await _fixture.Manager.DeleteAsync(branch.Name, purge: true, Token);
                if (answer.Equals(said))
                    return;
            }

            Assert.True(TimeProvider.System.GetElapsedTime(started) < Patience, $"{said ?? made.Error?.Message} after {Patience}; {_fixture.Manager.Status}");
            await Task.Delay(TimeSpan.FromMilliseconds(300), TimeProvider.System, Token);
        }
    }

    static async Task<object?> TryScalarAsync(string connectionString, string sql)
    {
        try
        {
            return await ScalarAsync(connectionString, sql);
        }
        catch (Npgsql.PostgresException exception) when (exception.SqlState == Npgsql.PostgresErrorCodes.UndefinedTable)
        {
            return exception.MessageText;
        }
    }

    // Starts production as a standby of nobody and ends its recovery: its log goes on on another timeline.
    async Task PromoteAsync()
    {
        await File.WriteAllTextAsync(Path.Combine(_fixture.Production.DataDirectory, "standby.signal"), "", Token);
        PostgresUser.Own(Path.Combine(_fixture.Production.DataDirectory, "standby.signal"));
        await _fixture.Production.StartAsync(Token);
        await ExecuteAsync(Bank, "SELECT pg_promote()");
        await ExecuteAsync(Bank, "CHECKPOINT");
        Assert.Equal(2, await ScalarAsync(Bank, "SELECT timeline_id FROM pg_control_checkpoint()"));
    }

    // Without a spare it is main that must be there, with one it is the spare, and main is asked for its timeline.
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public async Task A_branch_as_of_now_waits_for_a_main_that_restarts_after_a_crash(int spares)
    {
        await _fixture.StopManagerAsync();
        _fixture = await new BranchingFixture { IsGuest = false }.TakeOverAsync(_fixture, options => options with { SparesKept = spares, SeedInterval = TimeSpan.FromHours(1) });
        await ExecuteAsync(Bank, "CREATE TABLE told AS SELECT 1 AS x");
        var written = Postgres.Lsn.Parse((string)(await ScalarAsync(Bank, "SELECT pg_current_wal_flush_lsn()::text"))!);
        await UntilAsync(() => _fixture.Manager.Status is var status && status.MainLsn >= written && status.SparesReady == spares, () => $"main does not follow: {_fixture.Manager.Status}");
        await ExecuteAsync(Bank, "INSERT INTO told VALUES (2)");
        await SignalAsync("KILL", await ReceiverAsync());

        var branch = await _fixture.CreateAsync("after-crash", BranchOrigin.Now);

        await using var lease = await _fixture.ConnectAsync(branch);
        Assert.Equal(2, await ScalarAsync(ConnectionString(lease), "SELECT max(x) FROM told"));
    }

    void RemoveSlots()
    {
        foreach (var slot in Directory.EnumerateDirectories(Path.Combine(_fixture.Production.DataDirectory, "pg_replslot")))
            Directory.Delete(slot, recursive: true);
    }

    async Task<int> ReceiverAsync()
    {
        var main = (await File.ReadAllLinesAsync(Path.Combine(_fixture.Options.StateDirectory, "pool", "main", "postmaster.pid"), Token))[0];
        var listed = await ChildProcesses.RunAsync(new ChildProcessSpec("pgrep", ["--parent", main, "--full", "walreceiver"]), Token);
        return int.Parse(listed.EnsureSucceeded("pgrep").StandardOutput.Trim(), System.Globalization.CultureInfo.InvariantCulture);
    }

    static async Task SignalAsync(string signal, int process) =>
        (await ChildProcesses.RunAsync(new ChildProcessSpec("/bin/kill", ["-s", signal, $"{process}"]), Token)).EnsureSucceeded("kill");
}
