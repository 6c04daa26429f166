using Microsoft.Extensions.Logging.Abstractions;
using Tributary.Postgres.Programs;
using static Tributary.Branching.Tests.BranchingFixture;

namespace Tributary.Branching.Tests;

/// <summary>The catalog is damaged, lost or taken from an old copy: nothing starts on it, and it is made anew from what lies beside the volumes.</summary>
public sealed class CatalogRepairTests : IAsyncLifetime
{
    readonly BranchingFixture _fixture = new() { Adjust = static options => options with { SeedInterval = TimeSpan.FromHours(1) } };

    string Catalog => Path.Combine(_fixture.Options.StateDirectory, "catalog.db");

    string Pool => Path.Combine(_fixture.Options.StateDirectory, "pool");

    public ValueTask InitializeAsync() => _fixture.InitializeAsync();

    public ValueTask DisposeAsync() => _fixture.DisposeAsync();

    [Fact]
    public async Task A_catalog_of_garbage_is_refused_and_rebuilt_with_every_branch_as_it_was()
    {
        var before = await MakeBranchesAsync();
        var highest = before.Max(branch => branch.Branch.Number);
        await _fixture.StopManagerAsync();
        var garbage = new byte[100_000];
        new Random(7).NextBytes(garbage);
        await File.WriteAllBytesAsync(Catalog, garbage, Token);

        await ExpectRefusedAsync("is damaged");
        var report = await RepairAsync();

        Assert.True(report.Rebuilt);
        Assert.Equal(garbage, await File.ReadAllBytesAsync(report.SetAside!, Token));
        Assert.Equal($"{Catalog}.damaged-1", report.SetAside);
        Assert.Equal(["parent", "fork", "guarded"], report.Branches);
        Assert.Empty(report.LeftOut);
        Assert.Empty(report.KeptAside);
        await using var next = await TakeOverAsync();
        Assert.Equal(before, [.. next.Manager.List().Select(branch => Known(next.Manager, branch))]);
        Assert.Equal("gone", Assert.Single(next.Manager.ListDeleted()).Name.ToString());
        Assert.Equal(before[0].Branch.Id, (await next.Manager.CreateAsync(new BranchRequest(BranchName.Parse("again"), BranchOrigin.Seed) { IdempotencyKey = "once" }, Token)).Value?.Id);
        Assert.Equal("parent", await OwnerOfAsync(next, "parent"));
        Assert.Equal("fork", await OwnerOfAsync(next, "fork"));
        Assert.True((await next.Manager.ResetAsync(BranchName.Parse("fork"), ResetTarget.Birth, Token)).Succeeded);
        Assert.Equal("parent", await OwnerOfAsync(next, "fork"));
        Assert.True((await next.CreateAsync("fresh")).Id > highest);
        Assert.True((await next.Manager.RestoreAsync(BranchName.Parse("gone"), newName: null)).Succeeded);
        Assert.Equal("gone", await OwnerOfAsync(next, "gone"));
    }

    [Fact]
    public async Task A_lost_catalog_is_told_from_a_new_one_and_what_is_not_whole_is_said()
    {
        await MakeBranchesAsync();
        await _fixture.StopManagerAsync();
        await using var second = await TakeOverAsync();
        var (parent, fork) = (second.Manager.Find("parent").Value!, second.Manager.Find("fork").Value!);
        // One branch loses its record, one its volume.
        File.Delete(Path.Combine(Pool, "records", $"branch-{fork.Id}.json"));
        await DeleteVolumeAsync(second, $"b{second.Manager.Find("guarded").Value!.Number}");
        await second.StopManagerAsync();
        File.Delete(Catalog);

        await ExpectRefusedAsync("missing or empty");
        await ExpectRefusedAsync("missing or empty");
        var report = await RepairAsync();

        Assert.Equal(["parent"], report.Branches);
        Assert.Equal(["branch guarded"], report.LeftOut.Select(lost => lost.What));
        Assert.Equal(fork.Birth is null ? ["branches"] : ["branches", "births"], report.KeptAside.Select(folder => Path.GetRelativePath(Path.Combine(Pool, "kept"), folder).Split('-')[0]));
        await using var next = await TakeOverAsync();
        Assert.Equal([parent.Id], next.Manager.List().Select(branch => branch.Id));
        Assert.All(report.KeptAside, folder => Assert.True(File.Exists(Path.Combine(folder, "PG_VERSION")), folder));
        Assert.Equal("parent", await OwnerOfAsync(next, "parent"));
    }

    [Fact]
    public async Task A_catalog_from_an_old_copy_is_refused_before_it_costs_a_volume()
    {
        await _fixture.CreateAsync("old");
        await _fixture.StopManagerAsync();
        File.Copy(Catalog, Catalog + ".copy");
        await using var second = await TakeOverAsync();
        await second.CreateAsync("younger");
        await second.StopManagerAsync();
        File.Move(Catalog + ".copy", Catalog, overwrite: true);

        await ExpectRefusedAsync("older than the pool");
        Assert.Equal(["old", "younger"], (await RepairAsync()).Branches);

        await using var third = await TakeOverAsync();
        Assert.Equal(["old", "younger"], third.Manager.List().Select(branch => branch.Name.ToString()));
    }

    [Fact]
    public async Task A_whole_catalog_is_left_as_it_is()
    {
        await _fixture.CreateAsync("kept");
        await _fixture.StopManagerAsync();

        var report = await RepairAsync();

        Assert.False(report.Rebuilt);
        Assert.Null(report.SetAside);
        Assert.False(File.Exists($"{Catalog}.damaged-1"));
        Assert.DoesNotContain(_fixture.Options.StateDirectory, await File.ReadAllTextAsync("/proc/mounts", Token), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_a_pool_there_is_nothing_to_repair()
    {
        var options = _fixture.Options with { StateDirectory = Testing.TestFolder.New("empty") };

        var repaired = await CatalogRepair.RunAsync(options, TimeProvider.System, Token);

        Assert.Equal(BranchErrorKind.NotFound, repaired.Error?.Kind);
        Assert.Empty(Directory.EnumerateFileSystemEntries(options.StateDirectory));
    }

    async Task<IReadOnlyList<(Branch Branch, string Labels, string Password)>> MakeBranchesAsync()
    {
        var manager = _fixture.Manager;
        var policy = new BranchPolicy { Owner = "ada", Labels = new Dictionary<string, string> { ["ticket"] = "7", ["team"] = "ledger" } };
        await MakeAsync(new BranchRequest(BranchName.Parse("parent"), BranchOrigin.Seed) { Policy = policy, IdempotencyKey = "once" });
        Assert.True((await manager.CreateAsync(new BranchRequest(BranchName.Parse("fork"), BranchOrigin.Branch) { Parent = "parent" }, Token)).Succeeded);
        await WriteOwnerAsync("fork");
        await MakeAsync(new BranchRequest(BranchName.Parse("guarded"), BranchOrigin.Seed) { Policy = new BranchPolicy { IsProtected = true } });
        await MakeAsync(new BranchRequest(BranchName.Parse("gone"), BranchOrigin.Seed));
        Assert.True((await manager.DeleteAsync(BranchName.Parse("gone"), purge: false, Token)).Succeeded);
        return [.. manager.List().Select(branch => Known(manager, branch))];
    }

    // What must be the same before and after; figures of use go on.
    static (Branch, string, string) Known(BranchManager manager, Branch branch) => (
        branch with { Policy = BranchPolicy.Default, Usage = ComputeUsage.None, LastUsedAt = null, Compute = ComputeState.Asleep, Connections = 0 },
        $"{branch.Policy.Owner} {branch.Policy.IsProtected} {string.Join(",", branch.Policy.Labels.OrderBy(label => label.Key).Select(label => $"{label.Key}={label.Value}"))}",
        manager.PasswordOf(branch));

    async Task MakeAsync(BranchRequest request)
    {
        var made = await _fixture.Manager.CreateAsync(request, Token);
        Assert.True(made.Succeeded, made.Error?.Message);
        await WriteOwnerAsync(request.Name.ToString());
    }

    async Task WriteOwnerAsync(string name)
    {
        await using var lease = await _fixture.ConnectAsync(_fixture.Manager.Find(name).Value!);
        await ExecuteAsync(ConnectionString(lease), $"DROP TABLE IF EXISTS mine; CREATE TABLE mine AS SELECT '{name}' AS owner; CHECKPOINT");
    }

    static async Task<object?> OwnerOfAsync(BranchingFixture fixture, string name)
    {
        await using var lease = await fixture.ConnectAsync(fixture.Manager.Find(name).Value!);
        return await ScalarAsync(ConnectionString(lease), "SELECT owner FROM mine");
    }

    // As the machine's administrator may do it by mistake.
    async Task DeleteVolumeAsync(BranchingFixture fixture, string folder)
    {
        var path = Path.Combine(Pool, "branches", folder);
        var deleted = await ChildProcesses.RunAsync(
            fixture.Manager.Status.Driver == "btrfs" ? new ChildProcessSpec("btrfs", ["subvolume", "delete", path]) : new ChildProcessSpec("rm", ["-rf", path]), Token);
        deleted.EnsureSucceeded("the deletion");
    }

    async Task ExpectRefusedAsync(string because)
    {
        var opened = await BranchManager.OpenAsync(_fixture.Options, feed: null, TimeProvider.System, NullLoggerFactory.Instance, Token);

        Assert.Equal(BranchErrorKind.CatalogDamaged, opened.Error?.Kind);
        Assert.Contains(because, opened.Error!.Message, StringComparison.Ordinal);
        Assert.Contains("tributary doctor --repair", opened.Error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(_fixture.Options.StateDirectory, await File.ReadAllTextAsync("/proc/mounts", Token), StringComparison.Ordinal);
    }

    async Task<CatalogRepairReport> RepairAsync()
    {
        var repaired = await CatalogRepair.RunAsync(_fixture.Options, TimeProvider.System, Token);
        Assert.True(repaired.Succeeded, repaired.Error?.Message);
        return repaired.Value;
    }

    async Task<BranchingFixture> TakeOverAsync()
    {
        var next = new BranchingFixture { IsGuest = true };
        await next.TakeOverAsync(_fixture);
        return next;
    }
}
