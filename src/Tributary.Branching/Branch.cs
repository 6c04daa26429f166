using Tributary.Postgres;

namespace Tributary.Branching;

/// <summary>What a branch is at one moment; an immutable snapshot.</summary>
/// <param name="Id">Never reused, also after the name is.</param>
/// <param name="SeedId">The seed that it was cloned from; empty when it is a promoted spare or a fork of a branch.</param>
/// <param name="Lsn">The position of production's log whose data the branch began with.</param>
/// <param name="DataTime">When production was at <paramref name="Lsn"/>, by this machine's clock.</param>
/// <param name="Generation">Counts password rotations; part of what the password is derived from.</param>
public sealed record Branch(
    long Id, BranchName Name, string SeedId, BranchState State, Lsn Lsn, DateTimeOffset DataTime, DateTimeOffset CreatedAt, int Generation)
{
    /// <summary>The number of the volume that holds it and of the folder of its server; a reset gives it another one.</summary>
    public long Number { get; init; } = Id;

    /// <summary>What moment it was asked for.</summary>
    public BranchOrigin Origin { get; init; }

    /// <summary>The branch that it was forked from; null when that is main. A branch outlives its parent.</summary>
    public long? ParentId { get; init; }

    public BranchPolicy Policy { get; init; } = BranchPolicy.Default;

    /// <summary>The frozen volume that it began as; null when that is not kept.</summary>
    public string? Birth { get; init; }

    /// <summary>The boot whose end it would not survive, since it is not flushed yet; null when it is.</summary>
    public string? UnsettledBoot { get; init; }

    public DateTimeOffset? DeletedAt { get; init; }

    /// <summary>When it was last reset.</summary>
    public DateTimeOffset? ResetAt { get; init; }

    public ComputeState Compute { get; init; }

    /// <summary>Client connections through the gateway now.</summary>
    public int Connections { get; init; }

    public DateTimeOffset? LastUsedAt { get; init; }

    /// <summary>What its servers have used over its whole life.</summary>
    public ComputeUsage Usage { get; init; } = ComputeUsage.None;

    /// <summary>When its time to live ends; null when it has none.</summary>
    public DateTimeOffset? ExpiresAt => Policy.Ttl is not { } ttl ? null
        : Policy.TtlFrom == TtlStart.LastUse && LastUsedAt > CreatedAt ? LastUsedAt + ttl
        : CreatedAt + ttl;

    /// <summary>The volume of the pool that holds the branch of a number, also while that is a spare.</summary>
    internal static string VolumeOf(long number) => $"branches/{FolderOf(number)}";

    /// <summary>The folder of its server outside the pool.</summary>
    internal static string FolderOf(long number) => $"b{number}";

    /// <summary>Where a fork's first moment is kept. One of a seed has that seed instead.</summary>
    internal static string BirthOf(long number) => $"{BirthsFolder}/{FolderOf(number)}";

    internal const string BirthsFolder = "births";
}

/// <summary>What the servers of a branch have used.</summary>
/// <param name="RunTime">How long one ran.</param>
/// <param name="CpuTime">Processor time.</param>
/// <param name="Connections">Client connections through the gateway.</param>
public sealed record ComputeUsage(TimeSpan RunTime, TimeSpan CpuTime, long Connections)
{
    public static ComputeUsage None { get; } = new(TimeSpan.Zero, TimeSpan.Zero, 0);
}

/// <summary>What a branch is a copy of.</summary>
public enum BranchOrigin
{
    /// <summary>The newest seed: the cheapest, and as old as that seed.</summary>
    Seed,

    /// <summary>Production at the moment of the request: it holds every transaction that production had acknowledged by then.</summary>
    Now,

    /// <summary>Production at a moment of its past.</summary>
    Point,

    /// <summary>Another branch at the moment of the request: it holds every transaction that the branch had acknowledged by then.</summary>
    Branch,
}

/// <summary>Where a branch is in its life.</summary>
public enum BranchState
{
    /// <summary>Reserved in the catalog; its storage may be half made. Not visible to clients.</summary>
    Creating,
    Ready,

    /// <summary>Marked for removal; its storage may be half gone. Not visible to clients.</summary>
    Deleting,

    /// <summary>Deleted, but whole: it can be restored until its grace period ends.</summary>
    Deleted,
}

public enum ComputeState
{
    Asleep,
    Starting,
    Running,
    Stopping,
}
