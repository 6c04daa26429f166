using Tributary.Contracts;
using Tributary.Contracts.Client;
using Tributary.EndToEnd.Tests.Support;
using Tributary.Postgres.Programs;
using Tributary.Testing;

namespace Tributary.EndToEnd.Tests;

/// <summary>From somebody's own Postgres to <c>psql</c> in a branch by three commands, and back to nothing.</summary>
public sealed class ThreeCommandsTests : IAsyncDisposable
{
    static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    readonly TestSpace _space = new();
    readonly List<PostgresServer> _productions = [];

    // What a shell on that machine has beside the commands: another folder and another port, since the usual ones may be in use.
    readonly Dictionary<string, string> _environment;

    public ThreeCommandsTests()
    {
        _environment = new()
        {
            ["TRIBUTARY_STATE"] = _space.State,
            ["TRIBUTARY_GATEWAY_LISTEN"] = $"127.0.0.1:{PostgresServer.FreePort()}",
            ["PATH"] = $"{_space.Folder}/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        };
        Directory.CreateDirectory(Path.Combine(_space.Folder, "bin"));
        File.CreateSymbolicLink(Path.Combine(_space.Folder, "bin/tributary"), TributaryProgram.Binary);
    }

    [Fact]
    public async Task Connect_create_and_enter_lead_to_psql_in_a_branch_of_a_database_of_pgbench()
    {
        var production = await ProductionAsync();
        (await ChildProcesses.RunAsync(
            new ChildProcessSpec(production.Installation.ClientProgram("pgbench"), ["-i", "-s", "1", "-q", production.Url()]), TestContext.Current.CancellationToken)).EnsureSucceeded("pgbench");

        var connected = await ShellAsync($"tributary connect {production.Url()}");
        await ShellAsync("tributary branch create first");
        var counted = await ShellAsync("tributary branch connect first -- -At", "DELETE FROM pgbench_accounts WHERE aid > 10; SELECT count(*) FROM pgbench_accounts;");

        Assert.Contains("proposed: main follows by physical replication\n", connected, StringComparison.Ordinal);
        Assert.Equal("DELETE 99990\n10\n", counted);
        Assert.Equal(100_000L, await Sql.AskAsync(production.ConnectionString(), "SELECT count(*) FROM pgbench_accounts"));

        await ShellAsync("tributary down");
        Assert.Empty(Machine.LeftoversOf(_space.State));

        await ShellAsync("tributary up --detach");
        Assert.Equal("10\n", await ShellAsync("tributary branch connect first -- -At", "SELECT count(*) FROM pgbench_accounts;"));

        await ShellAsync("tributary down");
        await ShellAsync("tributary destroy --yes");
        Assert.False(Directory.Exists(_space.State));
        Assert.Equal(0L, await Sql.AskAsync(production.ConnectionString(), "SELECT count(*) FROM pg_replication_slots"));
    }

    [Fact]
    public async Task Ctrl_C_while_production_is_copied_leaves_the_server_at_its_work()
    {
        var production = await ProductionAsync();
        var connect = await _space.StartAsync(["connect", production.Url(), "-c", _space.Configuration], _environment);
        await connect.SaysAsync("copying production", Limit);

        await connect.SignalAsync("INT");

        Assert.Equal(130, await connect.ExitCodeAsync());
        Assert.Contains("the server goes on in the background", connect.Log, StringComparison.Ordinal);
        using var client = new TributaryClient(_space.Socket);
        await Eventually.HoldsAsync(
            () => client.GetStatusAsync(TestContext.Current.CancellationToken), static status => status.Value?.Branching is { State: PartState.Running, Seeds.Count: > 0 },
            "branches can be made", Limit);
        await ShellAsync("tributary down");
    }

    [Fact]
    public async Task Why_the_server_does_not_start_is_passed_on_with_its_exit_code()
    {
        var first = await ProductionAsync();
        await ShellAsync($"tributary connect {first.Url()}");
        await ShellAsync("tributary down");
        var other = await ProductionAsync();

        var refused = await ChildProcesses.RunAsync(Shell($"tributary connect --force {other.Url()}"), TestContext.Current.CancellationToken);

        Assert.Equal(5, refused.ExitCode);
        Assert.Contains("error: ", refused.StandardError, StringComparison.Ordinal);
        Assert.Contains("is another cluster", refused.StandardError, StringComparison.Ordinal);
        Assert.Empty(Machine.LeftoversOf(_space.State));
    }

    public async ValueTask DisposeAsync()
    {
        // A test that has failed may have left its server; nothing of it is a child of this process.
        await ChildProcesses.RunAsync(Shell("tributary down"), CancellationToken.None);
        await _space.DisposeAsync();
        foreach (var production in _productions)
            await production.DisposeAsync();
    }

    async Task<PostgresServer> ProductionAsync()
    {
        var production = await TestServers.StartAsync([]);
        _productions.Add(production);
        return production;
    }

    ChildProcessSpec Shell(string command, string input = "") => new("/bin/sh", ["-c", $"cd {_space.Folder} && {command}"]) { Environment = _environment, StandardInput = input };

    async Task<string> ShellAsync(string command, string input = "") =>
        (await ChildProcesses.RunAsync(Shell(command, input), TestContext.Current.CancellationToken)).EnsureSucceeded(command).StandardOutput;
}
