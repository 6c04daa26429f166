using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Tributary.Branching;
using Tributary.Contracts;

namespace Tributary.Server.Api;

/// <summary>What becomes of a branch that there is: change, reset, delete, restore.</summary>
sealed class BranchLifeEndpoints(ServerView view)
{
    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapPatch("/v1/branches/{name}", (string name, BranchUpdateRequest request) => Update(name, request));
        routes.MapPost("/v1/branches/{name}/reset", (string name, BranchResetRequest request, CancellationToken cancellationToken) =>
            OnAsync(name, (manager, branch) => manager.ResetAsync(
                branch, request.To == BranchResetTarget.Birth ? ResetTarget.Birth : ResetTarget.Parent, cancellationToken)));
        routes.MapPost("/v1/branches/{name}/restore", (string name, BranchRestoreRequest request) => RestoreAsync(name, request.Name));
        routes.MapDelete("/v1/branches/{name}", (string name, bool? purge, CancellationToken cancellationToken) =>
            OnAsync(name, (manager, branch) => manager.DeleteAsync(branch, purge ?? false, cancellationToken)));
    }

    async Task<IResult> OnAsync(string name, Func<BranchManager, BranchName, Task<BranchResult<Branch>>> act)
    {
        if (view.Branching is not { } branching)
            return Problems.Result(Problems.BranchingOff);
        var found = branching.Manager.Find(name);
        return found.Succeeded ? Show(await act(branching.Manager, found.Value.Name), branching) : Problems.Result(Problems.Of(found.Error));
    }

    IResult Update(string name, BranchUpdateRequest request)
    {
        BranchName newName = default;
        if (request.Name is not null && !BranchName.TryParse(request.Name, out newName, out var invalid))
            return Problems.Result(Problems.Of(new BranchError(BranchErrorKind.InvalidName, invalid)));
        if (view.Branching is not { } branching)
            return Problems.Result(Problems.BranchingOff);
        var found = branching.Manager.Find(name);
        if (!found.Succeeded)
            return Problems.Result(Problems.Of(found.Error));
        string? error = null;
        var changed = branching.Manager.SetPolicy(found.Value.Name, policy => BranchRequests.Apply(policy, request, out error) ?? policy);
        if (error is not null)
            return Problems.Result(Problems.Invalid(error));
        if (changed.Succeeded && request.Name is not null && newName != changed.Value.Name)
            changed = branching.Manager.Rename(changed.Value.Name, newName);
        return Show(changed, branching);
    }

    async Task<IResult> RestoreAsync(string name, string? newName)
    {
        if (!BranchName.TryParse(name, out var deleted, out var error))
            return Problems.Result(Problems.Of(new BranchError(BranchErrorKind.InvalidName, error)));
        BranchName? other = null;
        if (newName is not null)
        {
            if (!BranchName.TryParse(newName, out var parsed, out error))
                return Problems.Result(Problems.Of(new BranchError(BranchErrorKind.InvalidName, error)));
            other = parsed;
        }

        return view.Branching is { } branching ? Show(await branching.Manager.RestoreAsync(deleted, other), branching) : Problems.Result(Problems.BranchingOff);
    }

    IResult Show(BranchResult<Branch> result, BranchingPart branching) => result.Succeeded
        ? Results.Json(BranchView.Of(result.Value, branching, view.Gateway(), usage: null), ContractsJson.Default.BranchResponse)
        : Problems.Result(Problems.Of(result.Error));
}
