using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Tributary.Contracts;
using Tributary.Contracts.Costs;

namespace Tributary.Server.Api;

/// <summary>The server itself: status, streams, health, checks, costs.</summary>
sealed class ServerEndpoints(ServerView view, TimeProvider timeProvider)
{
    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/healthz", () => Results.Text("ok\n"));
        routes.MapGet("/v1/status", (CancellationToken cancellationToken) => StatusAsync(cancellationToken));
        routes.MapGet("/v1/streams", () => Results.Json(new StreamListResponse(view.Streams()), ContractsJson.Default.StreamListResponse));
        routes.MapGet("/v1/doctor", async (CancellationToken cancellationToken) =>
            Results.Json(await view.Diagnose(cancellationToken), ContractsJson.Default.DoctorResponse));
        routes.MapPost("/v1/stop", Stop);
        routes.MapPost("/v1/cost", (CostRequest request, CancellationToken cancellationToken) => CostAsync(request, cancellationToken));
    }

    async Task<IResult> StatusAsync(CancellationToken cancellationToken) => Results.Json(
        new StatusResponse
        {
            Version = ProductVersion.Text,
            ProcessId = Environment.ProcessId,
            UptimeSeconds = (timeProvider.GetUtcNow() - view.StartedAt).TotalSeconds,
            ResidentBytes = Environment.WorkingSet,
            Source = view.Configuration.Source?.ToString(),
            StateDirectory = view.Configuration.StateDirectory,
            Streams = view.Streams(),
            Branching = view.Branching is { } branching ? await branching.StatusAsync(measure: true, cancellationToken) : new BranchingStatusResponse { State = PartState.Off },
            Gateway = view.Gateway(),
        },
        ContractsJson.Default.StatusResponse);

    // The stop itself waits until this answer is out, as for every request that is at work.
    IResult Stop() => view.RequestStop()
        ? Results.Json(new StopResponse(Environment.ProcessId, view.Configuration.StateDirectory), ContractsJson.Default.StopResponse, statusCode: StatusCodes.Status202Accepted)
        : Problems.Result(Problems.NotStoppable);

    async Task<IResult> CostAsync(CostRequest request, CancellationToken cancellationToken)
    {
        if (CostModel.Validate(request) is { Count: > 0 } errors)
            return Problems.Result(Problems.Invalid($"the figures do not serve: {string.Join("; ", errors)}"));
        var measured = view.Branching is { } branching ? await BranchAccounts.MeasureAsync(branching, timeProvider.GetUtcNow(), cancellationToken) : CostMeasures.None;
        return Results.Json(CostModel.Compute(request, measured), ContractsJson.Default.CostResponse);
    }
}
