using System.Net.Sockets;
using System.Text;
using Tributary.Contracts;
using Tributary.Contracts.Costs;
using Tributary.Server.Tests.Support;
using Tributary.Testing;

namespace Tributary.Server.Tests.Api;

/// <summary>One server with a stream and without branching.</summary>
public sealed class StreamsOnlyServerFixture : IAsyncLifetime
{
    internal TestServer Server { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        var postgres = await TestServers.SharedAsync();
        var source = await postgres.DatabaseAsync("CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO orders SELECT generate_series(1, 500)");
        var target = await postgres.DatabaseAsync("SELECT 1");
        Server = await TestServer.StartAsync(Production.Configuration(source).WithStream("api", target));
    }

    public ValueTask DisposeAsync() => Server.DisposeAsync();
}

public sealed class StreamsOnlyServerTests(StreamsOnlyServerFixture fixture) : IClassFixture<StreamsOnlyServerFixture>
{
    [Fact]
    public async Task Status_shows_the_stream_until_its_rows_are_copied()
    {
        StatusResponse? status = null;
        await Production.UntilAsync(async () => (status = (await fixture.Server.Client.GetStatusAsync(Production.Token)).Value)!.Streams[0].Phase == "streaming", "the copy");

        Assert.Equal(("api", PartState.Running, 500), (status!.Streams[0].Name, status.Streams[0].State, status.Streams[0].RowsCopied));
        Assert.Equal((PartState.Off, PartState.Off), (status.Branching.State, status.Gateway.State));
        Assert.Equal(fixture.Server.Configuration.StateDirectory, status.StateDirectory);
        Assert.Equal("api", Assert.Single((await fixture.Server.Client.ListStreamsAsync(Production.Token)).Value!.Streams).Name);
    }

    [Fact]
    public async Task Metrics_tell_of_the_stream_to_a_scraper()
    {
        var answer = "";
        await Production.UntilAsync(
            async () => IsStreaming(answer = await SendAsync("GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")), "the streaming phase");

        foreach (var name in (string[])["lag_bytes", "in_flight_bytes", "in_flight_transactions", "spool_bytes", "batches_total", "rows_total", "missing_rows_total", "reconnections_total", "confirmed_lsn"])
            Assert.Contains($"\ntributary_stream_{name}{{", answer, StringComparison.Ordinal);
        Assert.Contains("# TYPE tributary_stream_rows_total counter", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_invalid_name_is_told_before_branching_is_off()
    {
        var invalid = await fixture.Server.Client.CreateBranchAsync(new BranchCreateRequest { Name = "Agent_42" }, Production.Token);
        var valid = await fixture.Server.Client.CreateBranchAsync(new BranchCreateRequest { Name = "agent-42" }, Production.Token);

        Assert.Equal((ProblemCodes.InvalidName, 400), (invalid.Problem!.Code, invalid.Problem.Status));
        Assert.Equal((ProblemCodes.BranchingOff, 409), (valid.Problem!.Code, valid.Problem.Status));
        Assert.Contains("branching: {}", valid.Problem.Hint, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_doctor_checks_machine_production_and_targets()
    {
        var doctor = (await fixture.Server.Client.GetDoctorAsync(Production.Token)).Value!;

        Assert.Contains(doctor.Checks, check => check is { Name: "wal_level", Outcome: CheckOutcome.Ok });
        Assert.Contains(doctor.Checks, check => check is { Name: "stream api", Outcome: CheckOutcome.Ok });
    }

    [Fact]
    public async Task Costs_are_computed_and_wrong_figures_refused()
    {
        var cost = await fixture.Server.Client.ComputeCostAsync(new CostRequest { Agents = [1] }, Production.Token);
        var wrong = await fixture.Server.Client.ComputeCostAsync(new CostRequest { Agents = [-1] }, Production.Token);

        Assert.Equal((2, FigureOrigin.Assumed), (cost.Value!.Rows.Count, cost.Value.DeltaShareOrigin));
        Assert.Equal(ProblemCodes.InvalidRequest, wrong.Problem!.Code);
    }

    [Theory]
    [InlineData("GET /healthz", "", "200 OK")]
    [InlineData("GET /v1/nothing", "", "404 Not Found")]
    [InlineData("POST /v1/branches", "{ \"name\": ", "400 Bad Request")]
    [InlineData("POST /v1/branches", "{ \"name\": 7 }", "400 Bad Request")]
    public async Task Any_request_gets_its_status(string request, string body, string status)
    {
        var answer = await SendAsync($"{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n{body}");

        Assert.StartsWith($"HTTP/1.1 {status}", answer, StringComparison.Ordinal);
        if (!status.StartsWith("200", StringComparison.Ordinal))
            Assert.Contains("application/problem+json", answer, StringComparison.Ordinal);
    }

    [Fact]
    public void The_socket_is_open_to_its_owner_only() =>
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(fixture.Server.Configuration.Api.Socket));

    // Labels come in no promised order, and a time may follow the value.
    static bool IsStreaming(string metrics) => metrics.Split('\n').Any(static line =>
        line.StartsWith("tributary_stream_phase{", StringComparison.Ordinal) && line.Contains("stream=\"api\"", StringComparison.Ordinal) &&
        line.Contains("phase=\"streaming\"", StringComparison.Ordinal) && line.Split('}')[1].Trim().Split(' ')[0] == "1");

    async Task<string> SendAsync(string request)
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(fixture.Server.Configuration.Api.Socket), Production.Token);
        await using var stream = new NetworkStream(socket);
        await stream.WriteAsync(Encoding.ASCII.GetBytes(request), Production.Token);
        return await new StreamReader(stream).ReadToEndAsync(Production.Token);
    }
}
