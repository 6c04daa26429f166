using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Logging;
using Tributary.Branching;
using Tributary.Contracts;

namespace Tributary.Server.Api;

/// <summary>Branches: make, list, show.</summary>
sealed class BranchEndpoints(ServerView view, TimeProvider timeProvider, ILogger logger)
{
    const int IdempotencyKeyCharsMax = 128;

    /// <summary>A clash of a generated name is one in ten million for each branch that is; three in a row are a bug.</summary>
    const int GeneratedNameTries = 3;

    readonly IdempotencyKeys _keys = new();

    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/branches", (bool? deleted, CancellationToken cancellationToken) => ListAsync(deleted ?? false, cancellationToken));
        routes.MapPost("/v1/branches", (BranchCreateRequest request, CancellationToken cancellationToken) => CreateAsync(request, cancellationToken));
        routes.MapGet("/v1/branches/{name}", (string name, CancellationToken cancellationToken) => GetAsync(name, cancellationToken));
    }

    async Task<IResult> ListAsync(bool deleted, CancellationToken cancellationToken)
    {
        if (view.Branching is not { } branching)
            return Problems.Result(Problems.BranchingOff);
        var branches = deleted ? branching.Manager.ListDeleted() : branching.Manager.List();
        var usage = deleted || branches.Count == 0 ? null : await branching.Manager.MeasureAsync(whole: false, cancellationToken);
        var gateway = view.Gateway();
        return Results.Json(
            new BranchListResponse([.. branches.Select(branch => BranchView.Of(branch, branching, gateway, usage?.Branches.GetValueOrDefault(branch.Name.ToString())))]),
            ContractsJson.Default.BranchListResponse);
    }

    async Task<IResult> GetAsync(string name, CancellationToken cancellationToken)
    {
        if (view.Branching is not { } branching)
            return Problems.Result(Problems.BranchingOff);
        var found = branching.Manager.Find(name);
        if (!found.Succeeded)
            return Problems.Result(Problems.Of(found.Error));
        return Show(found.Value, branching, await branching.Manager.MeasureAsync(found.Value, cancellationToken), took: null, StatusCodes.Status200OK);
    }

    async Task<IResult> CreateAsync(BranchCreateRequest request, CancellationToken cancellationToken)
    {
        BranchName? name = null;
        if (request.Name is not null)
        {
            if (!BranchName.TryParse(request.Name, out var parsed, out var error))
                return Problems.Result(Problems.Of(new BranchError(BranchErrorKind.InvalidName, error)));
            name = parsed;
        }

        if (request.IdempotencyKey is { Length: 0 or > IdempotencyKeyCharsMax })
            return Problems.Result(Problems.Invalid($"an idempotency key has 1 to {IdempotencyKeyCharsMax} characters"));
        if (BranchRequests.PolicyOf(request, out var wrong) is not { } policy)
            return Problems.Result(Problems.Invalid(wrong!));
        // What is wrong with the request itself is said first: it stays wrong when branching is turned on.
        if (view.Branching is not { } branching)
            return Problems.Result(Problems.BranchingOff);
        // With a key the creation belongs to every request that shares it, so one client that goes away must not undo it.
        var creation = request.IdempotencyKey is { } key
            ? await _keys.OnceAsync(key, () => MakeAsync(branching, name, request, policy, CancellationToken.None))
            : await MakeAsync(branching, name, request, policy, cancellationToken);
        return creation.Problem is { } problem
            ? Problems.Result(problem)
            : Shown(BranchView.Of(creation.Branch!, branching, view.Gateway(), usage: null, creation.Took) with { Note = BranchView.NoteOf(creation.Branch!, branching) }, StatusCodes.Status201Created);
    }

    async Task<Creation> MakeAsync(BranchingPart branching, BranchName? name, BranchCreateRequest request, BranchPolicy policy, CancellationToken cancellationToken)
    {
        var started = timeProvider.GetTimestamp();
        for (var attempt = 1; ; attempt++)
        {
            var made = await branching.Manager.CreateAsync(BranchRequests.Of(name ?? GeneratedName.Next(), request, policy), cancellationToken);
            if (!made.Succeeded && made.Error.Kind == BranchErrorKind.AlreadyExists && name is null && attempt < GeneratedNameTries)
                continue;
            var took = timeProvider.GetElapsedTime(started);
            if (!made.Succeeded)
                return new Creation(null, took, Problems.Of(made.Error));
            branching.CreateTimes.Add(took);
            Log.BranchMade(logger, made.Value.Name.ToString(), Math.Round(took.TotalMilliseconds, 1));
            return new Creation(made.Value, took, null);
        }
    }

    IResult Show(Branch branch, BranchingPart branching, BranchUsage? usage, TimeSpan? took, int status) =>
        Shown(BranchView.Of(branch, branching, view.Gateway(), usage, took), status);

    static IResult Shown(BranchResponse branch, int status) => Results.Json(branch, ContractsJson.Default.BranchResponse, statusCode: status);
}
