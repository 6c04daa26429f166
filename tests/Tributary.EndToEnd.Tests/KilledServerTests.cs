using Tributary.Contracts;
using Tributary.EndToEnd.Tests.Support;
using Tributary.Postgres.Programs;
using Tributary.Testing;

namespace Tributary.EndToEnd.Tests;

/// <summary>kill -9 in the middle of everything: writers on production, a stream, branches with clients in them.</summary>
public sealed class KilledServerTests : IAsyncDisposable
{
    const int Rounds = 3;
    const int Seed = 20251;

    static readonly TimeSpan EndOfOrphansLimit = TimeSpan.FromSeconds(15);
    static readonly TimeSpan CatchUpLimit = TimeSpan.FromSeconds(30);

    readonly TestSpace _space = new();
    readonly Random _random = new(Seed);
    readonly HashSet<string> _seeds = [];
    PostgresServer? _production;
    PostgresServer? _replica;

    string Production => _production!.ConnectionString("bank");

    string Replica => _replica!.ConnectionString("bank_copy");

    [Fact]
    public async Task Kill_9_under_load_loses_no_row_no_branch_and_leaves_no_process()
    {
        await StartServersAsync();
        await using var load = BankLoad.Start(Production, writers: 3, Seed);
        await load.ReachAsync(50);
        var running = await _space.UpAsync();
        var born = await MakeBranchesAsync(running);
        Dictionary<string, long> diaries = [];

        for (var round = 1; round <= Rounds; round++)
        {
            var writers = new[] { await BranchWriter.StartAsync(await running.GetAsync("b1")), await BranchWriter.StartAsync(await running.GetAsync("b2")) };
            await load.ReachAsync(load.Committed + _random.Next(20, 250));
            var tree = Machine.Tree(running.Id);
            await running.KillAsync();
            running = await _space.UpAsync();
            await Task.WhenAll(writers.Select(static writer => writer.Cut));

            await Eventually.NothingIsLeftAsync(() => Machine.StillRunning(tree), $"the run that was killed in round {round}", EndOfOrphansLimit);
            await running.ReadyAsync();
            Assert.Single(Machine.Mounts(_space.State));
            Assert.Single(Machine.LoopDevices(_space.State));
            await ExpectBranchesAsync(running, born, writers);
            await ExpectNewSeedAsync(running);
        }

        await load.StopAsync();
        await ExpectEqualRowsAsync(load);
        await running.SignalAsync("TERM");
        Assert.Equal(0, await running.ExitCodeAsync());
        Assert.Empty(Machine.LeftoversOf(_space.State));
    }

    public async ValueTask DisposeAsync()
    {
        await _space.DisposeAsync();
        await (_production?.DisposeAsync() ?? default);
        await (_replica?.DisposeAsync() ?? default);
    }

    async Task StartServersAsync()
    {
        _production = await TestServers.StartAsync(["wal_level = logical"]);
        _replica = await TestServers.StartAsync([]);
        await Sql.AskAsync(_production.ConnectionString(), "CREATE DATABASE bank");
        await Sql.AskAsync(_replica.ConnectionString(), "CREATE DATABASE bank_copy");
        await BankLoad.MakeTablesAsync(Production);
        await _space.ConfigureAsync(
            $"source: {{ url: '{_production.Url("bank")}' }}",
            $"streams: [ {{ name: replica, target: {{ postgres: {{ url: '{_replica.Url("bank_copy")}' }} }} }} ]",
            "branching: { driver: btrfs, pool-size: 4GiB, seed-interval: 1s, idle-timeout: 60s }");
    }

    async Task<IReadOnlyList<BranchResponse>> MakeBranchesAsync(RunningTributary running)
    {
        await running.ReadyAsync();
        foreach (var name in new[] { "b1", "b2", "b3", "b4", "b5" })
        {
            var branch = await running.CreateAsync(name);
            await branch.AskAsync($"SET synchronous_commit = on; CREATE TABLE mine AS SELECT '{name}' AS owner; UPDATE accounts SET balance = 7 WHERE id = {name[1..]}");
        }

        return await running.ListAsync();
    }

    static async Task ExpectBranchesAsync(RunningTributary running, IReadOnlyList<BranchResponse> born, IReadOnlyList<BranchWriter> writers)
    {
        var now = await running.ListAsync();
        Assert.Equal(born.Select(Identity).Order(), now.Select(Identity).Order());
        foreach (var branch in now)
        {
            Assert.Equal(branch.Name, await branch.AskAsync("SELECT owner FROM mine"));
            Assert.Equal(7L, await branch.AskAsync($"SELECT balance FROM accounts WHERE id = {branch.Name[1..]}"));
        }

        foreach (var writer in writers)
        {
            // The row whose answer the kill has cut off may be there or not; each one before it is, once.
            var rows = (string)(await now.Single(branch => branch.Name == writer.Branch).AskAsync("SELECT count(*) || ' ' || count(DISTINCT n) || ' ' || max(n) FROM diary"))!;
            Assert.Contains(rows, new[] { writer.Acknowledged, writer.Acknowledged + 1 }.Select(static last => $"{last} {last} {last}"));
        }

        static string Identity(BranchResponse branch) => $"{branch.Id} {branch.Name} {branch.Lsn} {branch.Password()}";
    }

    // Production goes on, so a run that has come back to life makes a seed that no earlier one had.
    async Task ExpectNewSeedAsync(RunningTributary running)
    {
        var before = (await running.StatusAsync(static _ => true, "it answers")).Branching.Seeds.Select(static seed => seed.Id);
        _seeds.UnionWith(before);
        var status = await running.StatusAsync(status => status.Branching.Seeds.Any(seed => !_seeds.Contains(seed.Id)), "a new seed is made");
        _seeds.UnionWith(status.Branching.Seeds.Select(static seed => seed.Id));
    }

    async Task ExpectEqualRowsAsync(BankLoad load)
    {
        await Eventually.HoldsAsync(
            async () => (long)(await Sql.AskAsync(Replica, "SELECT count(*) FROM entries"))!, count => count >= load.Committed,
            $"the {load.Committed} committed entries are in the replica", CatchUpLimit);
        foreach (var table in BankLoad.Tables)
            Assert.Equal(await Sql.RowsAsync(Production, table), await Sql.RowsAsync(Replica, table));
        Assert.Equal((decimal)BankLoad.Money, await Sql.AskAsync(Replica, "SELECT sum(balance) FROM accounts"));
        Assert.Equal(load.Committed, await Sql.AskAsync(Replica, "SELECT count(*) FROM entries"));
    }
}
