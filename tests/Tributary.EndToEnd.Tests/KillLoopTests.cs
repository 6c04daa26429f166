using System.Globalization;
using Tributary.Contracts;
using Tributary.Contracts.Client;
using Tributary.EndToEnd.Tests.Support;
using Tributary.Postgres.Programs;
using Tributary.Testing;

namespace Tributary.EndToEnd.Tests;

/// <summary>
/// kill -9 at random moments of a script of creates, forks, resets and deletes, of a start and of a stop. After each the next start finds
/// exactly the branches that clients were told of, and nothing that nobody has.
/// </summary>
public sealed class KillLoopTests : IAsyncDisposable
{
    const int BranchesMax = 8;

    static readonly int Rounds = int.Parse(Environment.GetEnvironmentVariable("TRIBUTARY_KILL_ROUNDS") ?? "12", CultureInfo.InvariantCulture);
    static readonly int Seed = int.Parse(Environment.GetEnvironmentVariable("TRIBUTARY_KILL_SEED") ?? $"{Random.Shared.Next()}", CultureInfo.InvariantCulture);
    static readonly string[] Actions = ["create", "seed", "fork", "past", "reset", "birth", "rename", "delete"];

    static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    readonly TestSpace _space = new();
    readonly Random _random = new(Seed);

    /// <summary>Branches that clients were told of, by name, with their id.</summary>
    readonly Dictionary<string, long> _acknowledged = [];

    /// <summary>Names whose last request got no answer: they may be there or not.</summary>
    readonly HashSet<string> _unknown = [];
    readonly Dictionary<string, string> _answers = [];

    PostgresServer? _production;
    int _names;

    static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Whenever_the_server_is_killed_the_next_one_has_every_acknowledged_branch_and_no_leftover()
    {
        _production = await TestServers.StartAsync(["wal_level = logical"]);
        await Sql.AskAsync(_production.ConnectionString(), "CREATE TABLE items AS SELECT generate_series(1, 100) AS id");
        await _space.ConfigureAsync($"source: {{ url: '{_production.Url()}' }}", "branching: { driver: btrfs, pool-size: 4GiB, seed-interval: 1s, restore-grace: 0s }");
        var round = 0;
        try
        {
            for (round = 1; round <= Rounds; round++)
                await RunRoundAsync();
        }
        catch (Exception exception)
        {
            Assert.Fail($"Round {round} with TRIBUTARY_KILL_SEED={Seed}: {exception}");
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _space.DisposeAsync();
        await (_production?.DisposeAsync() ?? default);
    }

    async Task RunRoundAsync()
    {
        var running = await _space.UpAsync();
        if (_acknowledged.Count > 0 && _random.Next(4) == 0)
        {
            // In the middle of a start.
            await Task.Delay(_random.Next(0, 1500), Token);
            await KillAsync(running);
            running = await _space.UpAsync();
        }

        await running.ReadyAsync();
        await ExpectAsync(running);
        var clients = Enumerable.Range(0, 2).Select(_ => WorkAsync(running, _random.Next())).ToList();
        await Task.Delay(_random.Next(100, 3000), Token);
        if (_random.Next(4) == 0)
        {
            // In the middle of a stop.
            await running.SignalAsync("TERM");
            await Task.Delay(_random.Next(0, 400), Token);
        }

        await KillAsync(running);
        await Task.WhenAll(clients);
    }

    static async Task KillAsync(RunningTributary running)
    {
        // Between a program's start and the moment when the kernel knows its parent it may outlive it, until the next start ends it.
        var servers = Machine.Servers(Machine.Tree(running.Id));
        await running.KillAsync();
        await Eventually.NothingIsLeftAsync(() => Machine.StillRunning(servers), "the run that was killed", Limit);
    }

    async Task ExpectAsync(RunningTributary running)
    {
        var now = await running.ListAsync();
        var names = now.Select(static branch => branch.Name).ToHashSet();
        Assert.Equal([], _acknowledged.Where(branch => !_unknown.Contains(branch.Key) && !now.Any(found => found.Name == branch.Key && found.Id == branch.Value)).Select(branch => Told(branch.Key)));
        Assert.Equal([], names.Where(name => !_acknowledged.ContainsKey(name) && !_unknown.Contains(name)).Select(Told));
        foreach (var branch in now)
            Assert.Equal(100L, await branch.AskAsync("SELECT count(*) FROM items"));
        _acknowledged.Clear();
        _unknown.Clear();
        foreach (var branch in now)
            _acknowledged[branch.Name] = branch.Id;

        Assert.Single(Machine.Mounts(_space.State));
        Assert.Single(Machine.LoopDevices(_space.State));
        // A spare or a seed is always on its way, so one look may see what the next does not.
        await Eventually.NothingIsLeftAsync(() => PoolRecords.Orphans(_space.State), "what the kill interrupted", Limit);
        await Eventually.NothingIsLeftAsync(() => StaleFolders(now), "the servers of the run before", Limit);
        // What is being started is nobody's child for a moment.
        await Eventually.NothingIsLeftAsync(() => Machine.StrayServers(_space.State, running.Id), "servers that the kill has left", Limit);
    }

    string Told(string name) => $"{name}, of which the answers were {_answers.GetValueOrDefault(name)}";

    // Folders of servers, with their sockets, of branches that are not there; those of seeds and of the newest spares are in use.
    IReadOnlyList<string> StaleFolders(IReadOnlyList<BranchResponse> branches)
    {
        var known = branches.Select(static branch => branch.Folder).Append("main").ToHashSet();
        return [.. Directory.EnumerateDirectories(Path.Combine(_space.State, "run")).Select(static path => Path.GetFileName(path))
            .Where(name => !known.Contains(name) && !Directory.Exists(Path.Combine(_space.State, "pool/branches", name)) && !Directory.Exists(Path.Combine(_space.State, "pool/seeds", name.Replace("seed-", "", StringComparison.Ordinal))))];
    }

    async Task WorkAsync(RunningTributary running, int seed)
    {
        var random = new Random(seed);
        while (true)
        {
            var (names, action, answer) = Next(running, random);
            var name = names[0];
            var result = await answer;
            lock (_acknowledged)
            {
                _answers[name] = $"{_answers.GetValueOrDefault(name)} {TimeProvider.System.GetUtcNow():mm:ss.fff} {action}: {(result.Problem is { } problem ? $"{problem.Code} {problem.Detail}" : "done")}";
                if (result.Succeeded && action is ("delete" or "rename"))
                    _acknowledged.Remove(name);
                if (result.Succeeded && action != "delete")
                    _acknowledged[result.Value.Name] = result.Value.Id;
                var isLost = !result.Succeeded && result.Problem.Code == ProblemCodes.ServerUnreachable;
                if (isLost)
                    return;
                _unknown.ExceptWith(names);
            }
        }
    }

    (string[] Names, string Action, Task<ApiResult<BranchResponse>> Answer) Next(RunningTributary running, Random random)
    {
        lock (_acknowledged)
        {
            // A branch that another client is at work on is left to that one.
            var free = _acknowledged.Keys.Where(name => !_unknown.Contains(name)).Order().ToList();
            var name = free.Count > 0 ? free[random.Next(free.Count)] : "";
            var action = free.Count == 0 ? "create" : free.Count >= BranchesMax ? "delete" : Actions[random.Next(Actions.Length)];
            string[] names = action switch
            {
                "create" or "seed" or "fork" or "past" => [$"k{++_names}"],
                "rename" => [name, $"k{++_names}"],
                _ => [name],
            };
            var target = names[0];
            _unknown.UnionWith(names);
            return (names, action, action switch
            {
                "create" => running.Api.CreateBranchAsync(new BranchCreateRequest { Name = target }, Token),
                "seed" => running.Api.CreateBranchAsync(new BranchCreateRequest { Name = target, FromSeed = true }, Token),
                "fork" => running.Api.CreateBranchAsync(new BranchCreateRequest { Name = target, From = name }, Token),
                "past" => running.Api.CreateBranchAsync(new BranchCreateRequest { Name = target, At = $"{TimeProvider.System.GetUtcNow().AddSeconds(-1):O}" }, Token),
                "rename" => running.Api.UpdateBranchAsync(target, new BranchUpdateRequest { Name = names[1] }, Token),
                "reset" => running.Api.ResetBranchAsync(target, BranchResetTarget.Parent, Token),
                "birth" => running.Api.ResetBranchAsync(target, BranchResetTarget.Birth, Token),
                _ => running.Api.DeleteBranchAsync(target, purge: random.Next(2) == 0, Token),
            });
        }
    }
}
