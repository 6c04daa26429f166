using Tributary.Postgres;

namespace Tributary.Branching;

/// <summary>What a branch is at one moment; an immutable snapshot.</summary>
/// <param name="Id">Never reused, also after the name is.</param>
/// <param name="SeedId">The seed that it was cloned from; empty when it is a promoted spare.</param>
/// <param name="Lsn">The position of production's log whose data the branch began with.</param>
/// <param name="DataTime">When production was at <paramref name="Lsn"/>, by this machine's clock.</param>
/// <param name="Generation">Counts password rotations; part of what the password is derived from.</param>
public sealed record Branch(
    long Id, BranchName Name, string SeedId, BranchState State, Lsn Lsn, DateTimeOffset DataTime, DateTimeOffset CreatedAt, int Generation)
{
    /// <summary>The volume of the pool that holds the branch of a number, also while that is a spare.</summary>
    internal static string VolumeOf(long id) => $"branches/{FolderOf(id)}";

    /// <summary>The folder of its server outside the pool.</summary>
    internal static string FolderOf(long id) => $"b{id}";

    /// <summary>What moment it was asked for.</summary>
    public BranchOrigin Origin { get; init; }

    public ComputeState Compute { get; init; }

    /// <summary>Client connections through the gateway now.</summary>
    public int Connections { get; init; }

    public DateTimeOffset? LastUsedAt { get; init; }
}

/// <summary>The moment of production that a branch is of.</summary>
public enum BranchOrigin
{
    /// <summary>The newest seed: the cheapest, and as old as that seed.</summary>
    Seed,

    /// <summary>The moment of the request: it holds every transaction that production had acknowledged by then.</summary>
    Now,
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
