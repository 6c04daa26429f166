using System.Text.Json;
using Tributary.Contracts;
using Tributary.EndToEnd.Tests.Support;
using Tributary.Postgres.Programs;
using Tributary.Testing;

namespace Tributary.EndToEnd.Tests;

/// <summary>A person's way through a damaged catalog: <c>up</c> refuses and names the command, the command asks, mends and says what it did.</summary>
public sealed class RepairTests : IAsyncDisposable
{
    const int AlreadyRunning = 11;

    readonly TestSpace _space = new();
    PostgresServer? _production;

    [Fact]
    public async Task A_catalog_overwritten_with_garbage_is_refused_and_rebuilt_by_doctor_repair()
    {
        _production = await TestServers.StartAsync(["wal_level = logical"]);
        await _space.ConfigureAsync($"source: {{ url: '{_production.Url()}' }}", "branching: { driver: btrfs, pool-size: 4GiB, restore-grace: 0s }");
        var first = await _space.UpAsync();
        await first.ReadyAsync();
        var born = await MakeBranchesAsync(first);
        var inUse = await RepairAsync("--yes");
        Assert.Equal((AlreadyRunning, ""), (inUse.ExitCode, inUse.StandardOutput));
        await first.SignalAsync("TERM");
        Assert.Equal(0, await first.ExitCodeAsync());
        await File.WriteAllTextAsync(Path.Combine(_space.State, "catalog.db"), string.Concat(Enumerable.Repeat("not a catalog any more. ", 4000)), TestContext.Current.CancellationToken);

        var refused = await _space.UpAsync();
        Assert.Equal(1, await refused.ExitCodeAsync());
        Assert.Contains("tributary doctor --repair", refused.Log, StringComparison.Ordinal);
        Assert.Empty(Machine.LeftoversOf(_space.State));
        var asked = await RepairAsync();
        Assert.Equal(2, asked.ExitCode);
        Assert.Contains("--yes", asked.StandardError, StringComparison.Ordinal);
        var repaired = JsonSerializer.Deserialize((await RepairAsync("--yes", "-o", "json")).EnsureSucceeded("doctor --repair").StandardOutput, ContractsJson.Default.RepairResponse)!;

        Assert.True(repaired.Rebuilt);
        Assert.Equal(Path.Combine(_space.State, "catalog.db.damaged-1"), repaired.SetAside);
        Assert.Equal(["one", "two"], repaired.Branches);
        Assert.Empty(repaired.LeftOut);
        Assert.Empty(Machine.LeftoversOf(_space.State));
        Assert.Contains("the catalog is whole", (await RepairAsync("--yes")).EnsureSucceeded("doctor --repair").StandardOutput, StringComparison.Ordinal);
        await ExpectBranchesAsync(born);
    }

    public async ValueTask DisposeAsync()
    {
        await _space.DisposeAsync();
        await (_production?.DisposeAsync() ?? default);
    }

    static async Task<IReadOnlyList<BranchResponse>> MakeBranchesAsync(RunningTributary running)
    {
        foreach (var name in new[] { "one", "two" })
        {
            var made = await running.Api.CreateBranchAsync(
                new BranchCreateRequest { Name = name, Owner = "ada", Labels = new Dictionary<string, string> { ["n"] = name } }, TestContext.Current.CancellationToken);
            Assert.True(made.Succeeded, made.Problem?.Detail);
            await made.Value.AskAsync($"CREATE TABLE mine AS SELECT '{name}' AS owner");
        }

        return await running.ListAsync();
    }

    async Task ExpectBranchesAsync(IReadOnlyList<BranchResponse> born)
    {
        var running = await _space.UpAsync();
        await running.ReadyAsync();
        var now = await running.ListAsync();
        Assert.Equal(born.Select(Identity), now.Select(Identity));
        foreach (var branch in now)
            Assert.Equal(branch.Name, await branch.AskAsync("SELECT owner FROM mine"));
        var fresh = await running.CreateAsync("fresh");
        Assert.True(fresh.Id > born.Max(static branch => branch.Id));
        Assert.Equal(1, await fresh.AskAsync("SELECT 1"));

        static string Identity(BranchResponse branch) => $"{branch.Id} {branch.Name} {branch.Lsn} {branch.Password()} {branch.Owner} {string.Join(",", branch.Labels.Values)}";
    }

    Task<ChildProcessResult> RepairAsync(params string[] options) => TributaryProgram.RunAsync(["doctor", "--repair", "-c", _space.Configuration, .. options]);
}
