using Tributary.Postgres;

namespace Tributary.Branching;

/// <summary>What a branch is at one moment; an immutable snapshot.</summary>
/// <param name="Id">Never reused, also after the name is.</param>
/// <param name="SeedId">The seed that it was cloned from.</param>
/// <param name="Lsn">The position of production's log whose data the branch began with.</param>
/// <param name="DataTime">When production was at <paramref name="Lsn"/>, by this machine's clock.</param>
/// <param name="Generation">Counts password rotations; part of what the password is derived from.</param>
public sealed record Branch(
    long Id, BranchName Name, string SeedId, BranchState State, Lsn Lsn, DateTimeOffset DataTime, DateTimeOffset CreatedAt, int Generation)
{
    public ComputeState Compute { get; init; }

    /// <summary>Client connections through the gateway now.</summary>
    public int Connections { get; init; }

    public DateTimeOffset? LastUsedAt { get; init; }
}

/// <summary>Where a branch is in its life.</summary>
public enum BranchState
{
    /// <summary>Reserved in the catalog; its storage may be half made. Not visible to clients.</summary>
    Creating,
    Ready,

    /// <summary>Marked for deletion; its storage may be half gone. Not visible to clients.</summary>
    Deleting,
}

public enum ComputeState
{
    Asleep,
    Starting,
    Running,
    Stopping,
}
