namespace Tributary.Contracts;

/// <summary>
/// Why a request was refused.
/// Source: RFC 9457, with two fields more: a stable code for programs and a hint for people.
/// </summary>
/// <param name="Title">What failed, the same for every case of the code.</param>
/// <param name="Status">The HTTP status; 0 when no server answered.</param>
/// <param name="Detail">What failed, and on what.</param>
/// <param name="Code">One of <see cref="ProblemCodes"/>.</param>
/// <param name="Hint">What to do.</param>
public sealed record ProblemResponse(string Title, int Status, string Detail, string Code, string? Hint = null)
{
    /// <summary>The page that explains the code.</summary>
    public string Type => $"https://tributary.dev/problems/{Code}";
}

/// <summary>The codes of <see cref="ProblemResponse"/>; they do not change between versions.</summary>
public static class ProblemCodes
{
    public const string InvalidRequest = "invalid-request";
    public const string InvalidName = "invalid-name";
    public const string BranchNotFound = "branch-not-found";
    public const string BranchExists = "branch-exists";
    public const string BranchProtected = "branch-protected";
    public const string BranchingOff = "branching-off";
    public const string BranchingNotReady = "branching-not-ready";
    public const string LimitReached = "limit-reached";
    public const string PoolFull = "pool-full";
    public const string StorageFailed = "storage-failed";
    public const string SourceUnsuitable = "source-unsuitable";
    public const string ComputeFailed = "compute-failed";
    public const string ServerUnreachable = "server-unreachable";
    public const string NotFound = "not-found";
    public const string NotStoppable = "not-stoppable";
    public const string InternalError = "internal-error";

    // Those below are a command's own; no server answers with them.
    public const string WrongUsage = "wrong-usage";
    public const string WrongConfiguration = "wrong-configuration";
    public const string AlreadyRunning = "already-running";
    public const string AlreadyExists = "already-exists";
    public const string TargetUnsuitable = "target-unsuitable";
    public const string MachineUnsuitable = "machine-unsuitable";
    public const string StateUnusable = "state-unusable";
    public const string PortTaken = "port-taken";
    public const string NoSpace = "no-space";
    public const string Failed = "failed";
}
