using System.Globalization;
using Npgsql;
using Tributary.Branching.Compute;
using Tributary.Postgres.Programs;
using Tributary.Testing;
using static Tributary.Branching.Tests.BranchingFixture;

namespace Tributary.Branching.Tests;

/// <summary>Clones by a driver that takes file by file, of servers that go on writing: the server stands still meanwhile.</summary>
public sealed class FrozenCloneTests
{
    const int Workers = 2;

    [Fact]
    public async Task Ten_forks_of_a_branch_that_is_being_written_start_cleanly_and_lack_no_acknowledged_commit()
    {
        TestPrograms.Require("xfsprogs", "mkfs.xfs");
        await using var fixture = new BranchingFixture { Adjust = options => options with { Driver = "xfs" } };
        await fixture.InitializeAsync();
        await ExecuteAsync(fixture.Production.ConnectionString("bank"), "CREATE TABLE moves (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, worker int NOT NULL, n bigint NOT NULL)");
        await fixture.FreshSeedAsync();
        var parent = await fixture.CreateAsync("parent");
        await using var lease = await fixture.ConnectAsync(parent);
        using var end = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var (acknowledged, ofProduction) = (new long[Workers], new long[Workers]);
        Task[] load =
        [
            .. Enumerable.Range(0, Workers).Select(worker => MoveAsync(ConnectionString(lease), worker, acknowledged, end.Token)),
            .. Enumerable.Range(0, Workers).Select(worker => MoveAsync(fixture.Production.ConnectionString("bank"), worker, ofProduction, end.Token)),
        ];
        await UntilAsync(() => Enumerable.Range(0, Workers).All(worker => Volatile.Read(ref acknowledged[worker]) > 0), () => "nothing was written");

        for (var i = 0; i < 10; i++)
        {
            long[] before = [.. Enumerable.Range(0, Workers).Select(worker => Volatile.Read(ref acknowledged[worker]))];
            var forked = await fixture.Manager.CreateAsync(new BranchRequest(BranchName.Parse($"fork-{i}"), BranchOrigin.Branch) { Parent = "parent" }, Token);
            Assert.True(forked.Succeeded, forked.Error?.Message);
            await using (var forkLease = await fixture.ConnectAsync(forked.Value))
                await AssertWholeAsync(ConnectionString(forkLease), before);
            Assert.Equal(0, fixture.Manager.CrashesOf(forked.Value));
            await fixture.Manager.DeleteAsync(forked.Value.Name, purge: true, Token);
        }

        // Every seed since was cloned from a main that replayed all the while.
        await fixture.FreshSeedAsync();
        await using (var seeded = await fixture.ConnectAsync(await fixture.CreateAsync("of-main")))
            await AssertWholeAsync(ConnectionString(seeded), new long[Workers]);
        Assert.DoesNotContain(load, task => task.IsCompleted);
        await end.CancelAsync();
        await Task.WhenAll(load);
    }

    [Fact]
    public async Task The_archive_of_a_main_that_is_written_all_the_while_recovers_an_exact_position()
    {
        TestPrograms.Require("xfsprogs", "mkfs.xfs");
        await using var fixture = new BranchingFixture { Adjust = options => options with { Driver = "xfs" } };
        await fixture.InitializeAsync();
        var bank = fixture.Production.ConnectionString("bank");
        await ExecuteAsync(bank, "CREATE TABLE moves (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, worker int NOT NULL, n bigint NOT NULL); CREATE TABLE steps (x int)");
        using var end = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var load = MoveAsync(bank, worker: 0, new long[1], end.Token);
        await UntilAsync(() => fixture.Manager.Status.PastSince is not null, () => $"no base image: {fixture.Manager.Status}");
        await ExecuteAsync(bank, "INSERT INTO steps VALUES (1)");
        var position = Postgres.Lsn.Parse((string)(await ScalarAsync(bank, "SELECT pg_current_wal_insert_lsn()::text"))!);
        await ExecuteAsync(bank, "INSERT INTO steps VALUES (2)");

        var made = await fixture.Manager.CreateAsync(new BranchRequest(BranchName.Parse("then"), BranchOrigin.Point) { Point = BranchPoint.At(position) }, Token);

        Assert.True(made.Succeeded, made.Error?.Message);
        await using (var lease = await fixture.ConnectAsync(made.Value))
        {
            Assert.Equal(1, await ScalarAsync(ConnectionString(lease), "SELECT max(x) FROM steps"));
            await ExecuteAsync(ConnectionString(lease), "DROP TABLE steps");
        }

        var reset = await fixture.Manager.ResetAsync(made.Value.Name, ResetTarget.Birth, Token);
        Assert.True(reset.Succeeded, reset.Error?.Message);
        await using (var lease = await fixture.ConnectAsync(reset.Value))
            Assert.Equal(1L, await ScalarAsync(ConnectionString(lease), "SELECT count(*) FROM steps"));
        Assert.False(load.IsCompleted, "the load has ended early");
        await end.CancelAsync();
        await load;
    }

    [Fact]
    public async Task Nothing_of_a_tree_runs_during_the_action_and_all_of_it_after_also_when_the_action_fails()
    {
        var folder = TestFolder.New("frozen");
        var (beat, births) = (Path.Combine(folder, "beat"), Path.Combine(folder, "births"));
        const string Script = "(while :; do echo >> \"$1\"; sleep 0.002; done) & while :; do sh -c 'echo >> \"$0\"' \"$2\"; done";
        using var tree = await ChildProcesses.StartAsync(new ChildProcessSpec("sh", ["-c", Script, "sh", beat, births]) { ParentDeathSignal = "KILL", LogFile = Path.Combine(folder, "log") }, Token);
        try
        {
            await AssertGrowsAsync(0, 0);
            for (var i = 0; i < 10; i++)
            {
                var (first, then) = ((0L, 0L), (0L, 0L));
                await Assert.ThrowsAsync<TimeoutException>(() => ProcessFreezer.RunAsync(
                    tree.Id,
                    async token =>
                    {
                        first = Lengths();
                        await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, token);
                        then = Lengths();
                        throw new TimeoutException();
                    },
                    TimeProvider.System, Token));

                Assert.Equal(first, then);
                await AssertGrowsAsync(then.Item1, then.Item2);
            }
        }
        finally
        {
            // Its children first, which nobody else would end.
            foreach (var process in ProcessTree.Children(tree.Id).Prepend(tree.Id))
                await ChildProcesses.RunAsync(new ChildProcessSpec("/bin/kill", ["-s", "KILL", process.ToString(CultureInfo.InvariantCulture)]), CancellationToken.None);
            await tree.WaitForExitAsync(CancellationToken.None);
        }

        (long Beat, long Births) Lengths() => (LengthOf(beat), LengthOf(births));

        Task AssertGrowsAsync(long beatBefore, long birthsBefore) => UntilAsync(() => LengthOf(beat) > beatBefore && LengthOf(births) > birthsBefore, () => "the tree does not go on");
    }

    static long LengthOf(string file) => File.Exists(file) ? new FileInfo(file).Length : 0;

    // Moves money about and counts it; what is counted has been acknowledged.
    static async Task MoveAsync(string connectionString, int worker, long[] acknowledged, CancellationToken cancellationToken)
    {
        await using var connection = new NpgsqlConnection(connectionString + ";Pooling=false;Command Timeout=60");
        await connection.OpenAsync(cancellationToken);
        while (!cancellationToken.IsCancellationRequested)
        {
            // The lower number first, so that two workers never wait for each other.
            var from = (int)((acknowledged[worker] * 7) + worker) % 999;
            await using var command = new NpgsqlCommand(
                $"UPDATE accounts SET balance = balance - 1 WHERE id = {from + 1}; UPDATE accounts SET balance = balance + 1 WHERE id = {from + 2}; INSERT INTO moves (worker, n) VALUES ({worker}, {acknowledged[worker] + 1})", connection);
            await command.ExecuteNonQueryAsync(CancellationToken.None);
            Volatile.Write(ref acknowledged[worker], acknowledged[worker] + 1);
        }
    }

    // Each worker's numbers are there from 1 on without a gap, and by the index as by the table.
    static async Task AssertWholeAsync(string connectionString, long[] acknowledged)
    {
        Assert.Equal(1_000_000m, await ScalarAsync(connectionString, "SELECT sum(balance) FROM accounts"));
        for (var worker = 0; worker < acknowledged.Length; worker++)
        {
            var (count, most) = (
                (long)(await ScalarAsync(connectionString, $"SELECT count(*) FROM moves WHERE worker = {worker}"))!,
                (long)(await ScalarAsync(connectionString, $"SELECT coalesce(max(n), 0) FROM moves WHERE worker = {worker}"))!);
            Assert.Equal(most, count);
            Assert.True(count >= acknowledged[worker], $"worker {worker}: {count} of {acknowledged[worker]} acknowledged commits");
        }

        await ExecuteAsync(connectionString, "CREATE EXTENSION IF NOT EXISTS amcheck; SELECT bt_index_check('moves_pkey', true), bt_index_check('accounts_pkey', true)");
    }
}
