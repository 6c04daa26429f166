namespace Tributary.Contracts;

/// <summary>What <c>tributary connect</c> has found and done. Holds no secret.</summary>
public sealed record ConnectResponse
{
    /// <summary>Production, without its password.</summary>
    public required string Source { get; init; }

    /// <summary>What was found on production and on this machine.</summary>
    public required IReadOnlyList<DoctorCheck> Findings { get; init; }

    public required FollowingProposalResponse Proposal { get; init; }

    /// <summary>The configuration file that was written; absent when none was.</summary>
    public string? File { get; init; }

    /// <summary>What the file holds, with the password left out; only where it was to be shown instead of written.</summary>
    public string? Content { get; init; }

    /// <summary>The log of the server that was started; absent when none was.</summary>
    public string? Log { get; init; }

    /// <summary>The server when branches can be made; absent when none was started.</summary>
    public StatusResponse? Status { get; init; }
}

/// <summary>How main can follow this production.</summary>
/// <param name="Mode"><c>physical</c>; absent when it cannot as things are.</param>
/// <param name="Reasons">Why this mode, or why none.</param>
/// <param name="Changes">What would make it possible; empty when it is.</param>
public sealed record FollowingProposalResponse(string? Mode, IReadOnlyList<string> Reasons, IReadOnlyList<string> Changes);

/// <summary>A server that was asked to stop.</summary>
/// <param name="ProcessId">Its process, where it runs.</param>
/// <param name="StateDirectory">The state folder that it frees when it has stopped.</param>
public sealed record StopResponse(int ProcessId, string StateDirectory);
