using System.Globalization;
using Tributary.Branching.Compute;
using Tributary.Postgres.Programs;
using Tributary.Testing;
using static Tributary.Branching.Tests.BranchingFixture;

namespace Tributary.Branching.Tests;

/// <summary>Main under drivers that clone file by file, and so hold it still for each clone.</summary>
public sealed class FrozenMainTests
{
    const string Transfer = """
        WITH pair AS MATERIALIZED (SELECT 1 + (random() * 400)::int AS payer, 500 + (random() * 400)::int AS payee)
        UPDATE accounts SET balance = balance + CASE id WHEN payer THEN -7 ELSE 7 END FROM pair WHERE id IN (payer, payee);
        INSERT INTO journal SELECT repeat('x', 500) FROM generate_series(1, 20);
        """;

    [Theory]
    [InlineData("copy", 5)]
    [InlineData("xfs", 12)]
    public async Task Clones_of_a_main_that_replays_a_load_of_writes_all_start_and_are_whole_while_main_runs_on(string driver, int clones)
    {
        if (driver == "xfs")
            TestPrograms.Require("xfsprogs", "mkfs.xfs");
        await using var fixture = New(driver);
        await fixture.InitializeAsync();
        var main = MainProcess(fixture);
        await ExecuteAsync(fixture.Production.ConnectionString("bank"), "CREATE TABLE journal (line text)");
        await using var load = new Load(() => ExecuteAsync(fixture.Production.ConnectionString("bank"), Transfer));

        var lines = new List<long>();
        for (var i = 0; i < clones; i++)
        {
            await load.MoreAsync();
            var branch = await fixture.CreateAsync($"clone{i}", BranchOrigin.Now);
            await using (var lease = await fixture.ConnectAsync(branch))
            {
                // The sequential scan reads every page of the table, whose checksum the server verifies.
                Assert.Equal(1_000_000m, await ScalarAsync(ConnectionString(lease), "SET enable_indexscan = off; SET enable_bitmapscan = off; SELECT sum(balance) FROM accounts"));
                Assert.Equal(1_000_000m, await ScalarAsync(ConnectionString(lease), "SET enable_seqscan = off; SELECT sum(balance) FROM accounts WHERE id BETWEEN 1 AND 1000"));
                lines.Add((long)(await ScalarAsync(ConnectionString(lease), "SELECT count(*) FROM journal"))!);
            }

            Assert.True((await fixture.Manager.DeleteAsync(branch.Name, purge: true, Token)).Succeeded);
        }

        Assert.All(lines.Zip(lines.Skip(1)), pair => Assert.True(pair.First < pair.Second && pair.Second % 20 == 0, $"{pair.First} lines, then {pair.Second}"));
        Assert.Equal(main, MainProcess(fixture));
    }

    [Fact]
    public async Task A_main_that_a_crash_has_left_frozen_is_ended_by_the_next_start()
    {
        var fixture = New("copy");
        await fixture.InitializeAsync();
        await fixture.StopManagerAsync();
        var main = Path.Combine(fixture.Options.StateDirectory, "pool", "main");
        var sockets = TestFolder.New("s");
        PostgresUser.Own(sockets);
        await File.WriteAllTextAsync(Path.Combine(sockets, "hba"), "local all all trust\n", Token);
        using var orphan = await ChildProcesses.StartAsync(
            new ChildProcessSpec(TestServers.Newest.Program("postgres"), ["-D", main, "-k", sockets, "-c", "listen_addresses=", "-c", $"hba_file={sockets}/hba"])
            { AsPostgresUser = true, ParentDeathSignal = "KILL", LogFile = Path.Combine(sockets, "log") }, Token);
        await UntilAsync(() => orphan.HasExited || File.Exists(Path.Combine(sockets, ".s.PGSQL.5432")), () => $"no server; see {sockets}/log");
        foreach (var process in ProcessTree.Children(orphan.Id).Prepend(orphan.Id))
            await ChildProcesses.RunAsync(new ChildProcessSpec("/bin/kill", ["-s", "STOP", $"{process}"]), Token);

        await using var next = New("copy");
        await next.TakeOverAsync(fixture);

        // Only a main that follows makes this seed.
        await next.FreshSeedAsync();
        Assert.True(orphan.HasExited);
    }

    // Without a spare a branch as of now is a clone of main each time.
    static BranchingFixture New(string driver) => new()
    {
        Adjust = options => options with { Driver = driver, SparesKept = 0, SeedInterval = driver == "copy" ? TimeSpan.FromSeconds(5) : options.SeedInterval },
    };

    static int MainProcess(BranchingFixture fixture) =>
        int.Parse(File.ReadLines(Path.Combine(fixture.Options.StateDirectory, "pool", "main", "postmaster.pid")).First(), CultureInfo.InvariantCulture);

    /// <summary>One writer that goes on until it is disposed, which throws what has ended it before.</summary>
    sealed class Load : IAsyncDisposable
    {
        readonly CancellationTokenSource _stop = new();
        readonly Task _writing;
        int _done;

        public Load(Func<Task> write) => _writing = Task.Run(async () =>
        {
            while (!_stop.IsCancellationRequested)
            {
                await write();
                Interlocked.Increment(ref _done);
            }
        });

        /// <summary>Waits for some more writes.</summary>
        public async Task MoreAsync()
        {
            var target = Volatile.Read(ref _done) + 10;
            await UntilAsync(() => _writing.IsFaulted || Volatile.Read(ref _done) >= target, () => "the load stands still");
            Assert.False(_writing.IsFaulted, _writing.Exception?.Message);
        }

        public async ValueTask DisposeAsync()
        {
            await _stop.CancelAsync();
            await _writing;
            _stop.Dispose();
        }
    }
}
