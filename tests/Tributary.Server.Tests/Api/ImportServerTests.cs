using Tributary.Branching;
using Tributary.Contracts;
using Tributary.Contracts.Client;
using Tributary.Server.Tests.Support;
using Tributary.Testing;

namespace Tributary.Server.Tests.Api;

/// <summary>A server without production: it starts, is healthy, takes a dump and gives branches of it.</summary>
public sealed class ImportServerTests
{
    const string Dump = "--\n-- PostgreSQL database dump\n--\nCREATE TABLE orders (id int PRIMARY KEY);\nINSERT INTO orders SELECT generate_series(1, 500);\n";

    [Fact]
    public async Task A_dump_is_imported_shown_on_the_way_and_branched_without_production()
    {
        await using var server = await TestServer.StartAsync(WithoutSource());
        await Production.UntilAsync(async () => (await server.Client.GetStatusAsync(Production.Token)).Value!.Branching is { Phase: "serving", Seeds.Count: > 0 }, "the first seed");
        var phases = new List<string>();
        var file = Path.Combine(TestFolder.New("dump"), "orders.sql");
        await File.WriteAllTextAsync(file, Dump, Production.Token);

        var imported = await server.Client.ImportAsync(new BranchImportRequest(file), step => phases.Add(step.Phase), Production.Token);
        var made = (await server.Client.CreateBranchAsync(new BranchCreateRequest { Name = "imported" }, Production.Token)).Value!;
        var again = await server.Client.ImportAsync(new BranchImportRequest(file), static _ => { }, Production.Token);
        var relative = await server.Client.ImportAsync(new BranchImportRequest("orders.sql"), static _ => { }, Production.Token);
        var status = (await server.Client.GetStatusAsync(Production.Token)).Value!;
        var doctor = (await server.Client.GetDoctorAsync(Production.Token)).Value!;

        Assert.Equal("app", imported.Value?.Database);
        Assert.Equal(["restoring", "analyzing", "seeding"], phases.Distinct());
        Assert.Equal(imported.Value!.SeedId, made.SeedId);
        Assert.Equal((ProblemCodes.BranchExists, 409), (again.Problem!.Code, again.Problem.Status));
        Assert.Equal(ProblemCodes.InvalidRequest, relative.Problem!.Code);
        Assert.Equal((null, "none", PartState.Running, 0), (status.Source, status.Branching.Following, status.Branching.State, status.Branching.SparesReady));
        Assert.True(status.Branching.MainBytes > 0);
        Assert.Contains(doctor.Checks, check => check is { Name: "main", Outcome: CheckOutcome.Ok });
        Assert.DoesNotContain(doctor.Checks, check => check.Name is "production" or "room for main");
        var password = Uri.UnescapeDataString(new Uri(made.Url).UserInfo.Split(':', 2)[1]);
        var connection = $"Host={made.Host};Port={made.Port};Username={made.User};Password={password};Database={made.Database};Options=-c branch={made.Name}";
        Assert.Equal(500, await Production.ScalarAsync<long>(connection, "SELECT count(*) FROM orders"));
    }

    [Fact]
    public async Task A_caller_that_leaves_takes_its_import_back()
    {
        await using var server = await TestServer.StartAsync(WithoutSource());
        await Production.UntilAsync(async () => (await server.Client.GetStatusAsync(Production.Token)).Value!.Branching is { Phase: "serving", Seeds.Count: > 0 }, "the first seed");
        var file = Path.Combine(TestFolder.New("dump"), "slow.sql");
        await File.WriteAllTextAsync(file, Dump + "SELECT pg_sleep(600);\n", Production.Token);
        using var leave = CancellationTokenSource.CreateLinkedTokenSource(Production.Token);

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => server.Client.ImportAsync(new BranchImportRequest(file), _ => leave.Cancel(), leave.Token));

        var quick = Path.Combine(Path.GetDirectoryName(file)!, "quick.sql");
        await File.WriteAllTextAsync(quick, Dump, Production.Token);
        ApiResult<BranchImportResponse> next = default;
        await Production.UntilAsync(async () => (next = await server.Client.ImportAsync(new BranchImportRequest(quick), static _ => { }, Production.Token)).Problem?.Code != ProblemCodes.BranchingNotReady, "the first import's end");
        Assert.True(next.Succeeded, next.Problem?.Detail);
    }

    [Fact]
    public async Task A_main_that_follows_production_takes_no_dump()
    {
        var postgres = await TestServers.SharedAsync();
        var source = await postgres.DatabaseAsync("CREATE TABLE orders (id int PRIMARY KEY)");
        await using var server = await TestServer.StartAsync(Production.Configuration(source).WithBranching($"no_import_{Guid.NewGuid():N}"[..24]));

        var refused = await server.Client.ImportAsync(new BranchImportRequest("/nowhere.sql"), static _ => { }, Production.Token);

        Assert.Equal(ProblemCodes.InvalidRequest, refused.Problem!.Code);
        Assert.Contains("following: none", refused.Problem.Detail, StringComparison.Ordinal);
    }

    static TributaryConfiguration WithoutSource()
    {
        var configuration = Production.Configuration(Production.Url("postgresql://nobody@127.0.0.1:1/nothing")) with { Source = null };
        return configuration with
        {
            Branching = new BranchingOptions { StateDirectory = configuration.StateDirectory, Following = FollowingMode.None, PoolBytesMax = 4L << 30, SeedInterval = TimeSpan.FromSeconds(1) },
        };
    }
}
