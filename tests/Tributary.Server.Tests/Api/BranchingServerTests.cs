using System.Diagnostics.Metrics;
using System.Globalization;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using Npgsql;
using Tributary.Contracts;
using Tributary.Contracts.Client;
using Tributary.Server.Tests.Support;
using Tributary.Testing;

namespace Tributary.Server.Tests.Api;

/// <summary>One server with branches, and what it answered before its first seed.</summary>
public sealed class BranchingServerFixture : IAsyncLifetime
{
    internal TestServer Server { get; private set; } = null!;

    public ProblemResponse? BeforeTheFirstSeed { get; private set; }

    public async ValueTask InitializeAsync()
    {
        var postgres = await TestServers.SharedAsync();
        var source = await postgres.DatabaseAsync("CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO orders SELECT generate_series(1, 500)");
        Server = await TestServer.StartAsync(Production.Configuration(source).WithBranching($"server_api_{Guid.NewGuid():N}"[..24]));
        BeforeTheFirstSeed = (await CreateAsync("too-early")).Problem;
        await Production.UntilAsync(async () => (await Server.Client.GetStatusAsync(Production.Token)).Value!.Branching.Seeds.Count > 0, "the first seed");
    }

    public Task<ApiResult<BranchResponse>> CreateAsync(string? name, string? key = null) =>
        Server.Client.CreateBranchAsync(new BranchCreateRequest { Name = name, IdempotencyKey = key }, Production.Token);

    public ValueTask DisposeAsync() => Server.DisposeAsync();
}

public sealed class BranchingServerTests(BranchingServerFixture fixture) : IClassFixture<BranchingServerFixture>
{
    [Fact]
    public void Before_the_first_seed_it_says_what_it_waits_for()
    {
        Assert.Equal((ProblemCodes.BranchingNotReady, 503), (fixture.BeforeTheFirstSeed!.Code, fixture.BeforeTheFirstSeed.Status));
        Assert.Contains("tributary status", fixture.BeforeTheFirstSeed.Hint, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_branch_is_made_shown_entered_and_deleted()
    {
        var made = (await fixture.CreateAsync("life")).Value!;
        await using (var connection = new NpgsqlConnection(made.ConnectionString()))
        {
            await connection.OpenAsync(Production.Token);
            await using var command = new NpgsqlCommand("DELETE FROM orders", connection);
            Assert.Equal(500, await command.ExecuteNonQueryAsync(Production.Token));
        }

        var shown = (await fixture.Server.Client.GetBranchAsync("life", Production.Token)).Value!;
        var listed = (await fixture.Server.Client.ListBranchesAsync(Production.Token)).Value!;
        var deleted = await fixture.Server.Client.DeleteBranchAsync("life", purge: true, Production.Token);
        var gone = await fixture.Server.Client.GetBranchAsync("life", Production.Token);

        Assert.True(made.CreateMs > 0);
        Assert.Equal(fixture.Server.GatewayPort, made.Port);
        Assert.Equal((made.Id, BranchLife.Ready), (shown.Id, shown.State));
        Assert.True(shown.TotalBytes > 0);
        Assert.Contains(listed.Branches, branch => branch.Name == "life");
        Assert.True(deleted.Succeeded);
        Assert.Equal((ProblemCodes.BranchNotFound, 404), (gone.Problem!.Code, gone.Problem.Status));
    }

    [Fact]
    public async Task Metrics_tell_of_branches_and_of_the_gateway()
    {
        var made = (await fixture.CreateAsync("measured")).Value!;
        await using (var connection = new NpgsqlConnection(made.ConnectionString()))
            await connection.OpenAsync(Production.Token);
        // Another server in this process, of which there are some while tests run beside each other.
        using var another = new Meter("Tributary.Branching");
        another.CreateObservableGauge("tributary.branching.branches", static () => 4711);
        another.CreateObservableGauge("tributary.branching.only_elsewhere", static () => 1);

        using var http = new HttpClient(new SocketsHttpHandler
        {
            ConnectCallback = async (_, token) =>
            {
                var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(fixture.Server.Configuration.Api.Socket), token);
                return new NetworkStream(socket, ownsSocket: true);
            },
        });
        var metrics = (await http.GetStringAsync("http://tributary/metrics", Production.Token)).Split('\n');

        // A name, labels or none, a value, and a time or none: https://prometheus.io/docs/instrumenting/exposition_formats/
        double Sum(string name) => metrics.Select(line => Regex.Match(line, $@"^{name}(?:\{{.*\}})? (?<value>\S+)"))
            .Sum(match => match.Success ? double.Parse(match.Groups["value"].Value, CultureInfo.InvariantCulture) : 0);
        foreach (var name in new[]
        {
            "tributary_branching_branches", "tributary_branching_seeds", "tributary_branching_connections", "tributary_branching_creates_total",
            "tributary_branching_create_seconds_count", "tributary_gateway_connections_opened_total", "tributary_gateway_relayed_bytes_total",
        })
        {
            Assert.True(Sum(name) >= 1, $"{name} is {Sum(name)} in:\n{string.Join('\n', metrics.Where(line => !line.StartsWith('#')))}");
        }

        Assert.True(Sum("tributary_branching_branches") < 4711);
        Assert.Equal(0, Sum("tributary_branching_only_elsewhere"));

        var cost = (await fixture.Server.Client.ComputeCostAsync(new Contracts.Costs.CostRequest(), Production.Token)).Value!;
        Assert.Contains(cost.Accounts, account => account is { Owner: null, Connections: >= 1, RunSeconds: > 0, ExclusiveBytes: > 0, Cost: > 0 });
        await fixture.Server.Client.DeleteBranchAsync("measured", purge: true, Production.Token);
    }

    [Fact]
    public async Task An_unknown_branch_is_told_with_near_names()
    {
        await fixture.CreateAsync("near-41");

        var get = await fixture.Server.Client.GetBranchAsync("near-42", Production.Token);
        var delete = await fixture.Server.Client.DeleteBranchAsync("near-42", purge: true, Production.Token);

        Assert.Contains("Did you mean near-41?", get.Problem!.Detail, StringComparison.Ordinal);
        Assert.Contains("Did you mean near-41?", delete.Problem!.Detail, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Upper")]
    [InlineData("under_score")]
    [InlineData("9lives")]
    [InlineData("ends-")]
    [InlineData("main")]
    [InlineData("")]
    public async Task A_name_that_is_none_is_refused(string name) =>
        Assert.Equal(ProblemCodes.InvalidName, (await fixture.CreateAsync(name)).Problem!.Code);

    [Fact]
    public async Task A_name_is_taken_once()
    {
        await fixture.CreateAsync("once");

        Assert.Equal((ProblemCodes.BranchExists, 409), ((await fixture.CreateAsync("once")).Problem is { } problem) ? (problem.Code, problem.Status) : default);
    }

    [Fact]
    public async Task A_request_repeated_with_its_key_answers_the_same_branch()
    {
        var together = await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => fixture.CreateAsync(null, "key-1")));
        await fixture.Server.Client.UpdateBranchAsync(together[0].Value!.Name, new BranchUpdateRequest { Name = "renamed-since" }, Production.Token);
        var later = await fixture.CreateAsync(null, "key-1");
        var other = await fixture.CreateAsync(null, "key-2");
        var tooLong = await fixture.CreateAsync(null, new string('k', 129));

        Assert.Equal(later.Value!.Id, Assert.Single(together.Select(answer => answer.Value!.Id).Distinct()));
        Assert.Equal("renamed-since", later.Value.Name);
        Assert.NotEqual(later.Value.Id, other.Value!.Id);
        Assert.Equal(ProblemCodes.InvalidRequest, tooLong.Problem!.Code);
    }

    [Fact]
    public async Task A_branch_whose_requester_leaves_is_taken_back()
    {
        // It takes longer than this to make one.
        for (var i = 0; i < 4; i++)
        {
            using var leaves = new CancellationTokenSource(TimeSpan.FromMilliseconds(10));
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => fixture.Server.Client.CreateBranchAsync(new BranchCreateRequest { Name = $"left-{i}" }, leaves.Token));
        }

        await Production.UntilAsync(
            async () => !(await fixture.Server.Client.ListBranchesAsync(Production.Token)).Value!.Branches.Any(branch => branch.Name.StartsWith("left-", StringComparison.Ordinal)),
            "the branches that nobody waits for are gone");
        await Task.Delay(TimeSpan.FromSeconds(1), TimeProvider.System, Production.Token);
        Assert.DoesNotContain((await fixture.Server.Client.ListBranchesAsync(Production.Token)).Value!.Branches, branch => branch.Name.StartsWith("left-", StringComparison.Ordinal));
        Assert.True((await fixture.CreateAsync("left-0")).Succeeded);
    }

    [Fact]
    public async Task A_branch_that_nobody_named_gets_a_name()
    {
        var (first, second) = (await fixture.CreateAsync(null), await fixture.CreateAsync(null));

        Assert.Matches("^[a-z]+-[a-z]+-[0-9]{4}$", first.Value!.Name);
        Assert.NotEqual(first.Value.Name, second.Value!.Name);
    }
}
