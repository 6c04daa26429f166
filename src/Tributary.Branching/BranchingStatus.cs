using Tributary.Postgres;

namespace Tributary.Branching;

/// <summary>The state of main, the pool and the seeds at one moment.</summary>
/// <param name="Following">Where main has its data from.</param>
/// <param name="Phase">What branching does now, or why it cannot go on.</param>
/// <param name="Driver">The storage driver in use.</param>
/// <param name="MainLsn">Where main has replayed production's log to, or where its own ends; null before there is a main.</param>
/// <param name="BaseBackupPercent">Progress of the base backup while it runs.</param>
/// <param name="Seeds">Newest first.</param>
public sealed record BranchingStatus(
    FollowingMode Following, BranchingPhase Phase, string Driver, Lsn? MainLsn, double? BaseBackupPercent, IReadOnlyList<SeedStatus> Seeds, int Branches, int Running, string? LastError)
{
    /// <summary>Spares that can be promoted now.</summary>
    public int SparesReady { get; init; }

    /// <summary>The earliest moment that a branch of the past can be of; null while none can.</summary>
    public DateTimeOffset? PastSince { get; init; }
}

public enum BranchingPhase
{
    Starting,
    BaseBackup,
    CatchingUp,
    Following,

    /// <summary>Main runs and follows nothing.</summary>
    Serving,
    Failed,
}

public sealed record SeedStatus(string Id, Lsn Lsn, DateTimeOffset DataTime);

/// <summary>Bytes in the pool. Shared bytes are counted once, in main or the seed that holds them.</summary>
public sealed record PoolUsage(long MainBytes, IReadOnlyDictionary<string, BranchUsage> Branches, long PoolUsedBytes, long PoolBytesMax);

/// <param name="ExclusiveBytes">What a deletion would free.</param>
/// <param name="TotalBytes">What the branch would take if it shared nothing.</param>
public sealed record BranchUsage(long ExclusiveBytes, long TotalBytes);
