using Microsoft.AspNetCore.Http;
using Tributary.Branching;
using Tributary.Contracts;

namespace Tributary.Server.Api;

/// <summary>Turns what the rooms refuse into what a client reads.</summary>
static class Problems
{
    public const string ContentType = "application/problem+json";

    public static readonly ProblemResponse BranchingOff = new(
        "Branching is off", StatusCodes.Status409Conflict, "this server was started without branching", ProblemCodes.BranchingOff,
        "add 'branching: {}' to its configuration and start it again");

    public static readonly ProblemResponse NotStoppable = new(
        "The server cannot be stopped", StatusCodes.Status409Conflict, "this server still starts, or runs inside another program such as the demonstration", ProblemCodes.NotStoppable,
        "try again in a moment, or end that program");

    public static ProblemResponse Invalid(string detail, string? hint = null) =>
        new("Invalid request", StatusCodes.Status400BadRequest, detail, ProblemCodes.InvalidRequest, hint);

    public static ProblemResponse Of(BranchError error) => error.Kind switch
    {
        BranchErrorKind.InvalidName => New(error, "Invalid name", StatusCodes.Status400BadRequest, ProblemCodes.InvalidName),
        BranchErrorKind.NotFound => New(error, "No such branch", StatusCodes.Status404NotFound, ProblemCodes.BranchNotFound, "'tributary branch list' shows all"),
        BranchErrorKind.AlreadyExists => New(error, "The branch exists", StatusCodes.Status409Conflict, ProblemCodes.BranchExists, "take another name, or delete that branch first"),
        BranchErrorKind.InvalidRequest => New(error, "Invalid request", StatusCodes.Status400BadRequest, ProblemCodes.InvalidRequest),
        BranchErrorKind.Protected => New(error, "The branch is protected", StatusCodes.Status409Conflict, ProblemCodes.BranchProtected),
        BranchErrorKind.NotReady => New(error, "Branching is not ready", StatusCodes.Status503ServiceUnavailable, ProblemCodes.BranchingNotReady, "'tributary status' shows how far it is"),
        BranchErrorKind.LimitReached => New(error, "Limit reached", StatusCodes.Status429TooManyRequests, ProblemCodes.LimitReached, "delete branches that are not used, or raise the limit under 'branching:'"),
        BranchErrorKind.PoolFull => New(error, "The pool is full", StatusCodes.Status507InsufficientStorage, ProblemCodes.PoolFull, "delete branches, or raise 'branching.pool-size'"),
        BranchErrorKind.StorageFailed => New(error, "Storage failed", StatusCodes.Status500InternalServerError, ProblemCodes.StorageFailed, "'tributary doctor' checks the machine"),
        BranchErrorKind.SourceUnsuitable => New(error, "Production does not serve", StatusCodes.Status503ServiceUnavailable, ProblemCodes.SourceUnsuitable, "'tributary doctor' checks production"),
        _ => New(error, "The branch's Postgres failed", StatusCodes.Status500InternalServerError, ProblemCodes.ComputeFailed, "'tributary doctor' checks the machine"),
    };

    static ProblemResponse New(BranchError error, string title, int status, string code, string? hint = null) => new(title, status, error.Message, code, hint);

    public static IResult Result(ProblemResponse problem) =>
        Results.Json(problem, ContractsJson.Default.ProblemResponse, ContentType, problem.Status);
}
