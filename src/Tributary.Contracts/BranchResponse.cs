using System.Text.Json.Serialization;

namespace Tributary.Contracts;

/// <summary>A branch, and how to enter it. <see cref="Url"/> and <see cref="Psql"/> hold the branch's password.</summary>
public sealed record BranchResponse
{
    /// <summary>Never reused, also after the name is.</summary>
    public required long Id { get; init; }

    public required string Name { get; init; }

    public required BranchLife State { get; init; }

    public required BranchCompute Compute { get; init; }

    /// <summary>The position in production's log whose data the branch began with.</summary>
    public required string Lsn { get; init; }

    /// <summary>When production was at <see cref="Lsn"/>.</summary>
    public required DateTimeOffset DataTime { get; init; }

    /// <summary>How old the branch's data was when it was made, in milliseconds.</summary>
    public required long DataAgeMs { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>What moment of production was asked for.</summary>
    public required BranchOrigin Origin { get; init; }

    /// <summary>The seed that it was cloned from; absent when it is a spare that was promoted for it alone.</summary>
    public string? SeedId { get; init; }

    /// <summary>The branch that it was forked from; absent when that is production, or the parent has been deleted.</summary>
    public string? Parent { get; init; }

    /// <summary>The id of the branch that it was forked from, also after that is gone; absent when it is production.</summary>
    public long? ParentId { get; init; }

    public string? Owner { get; init; }

    public required IReadOnlyDictionary<string, string> Labels { get; init; }

    /// <summary>Where it lies below the pool's <c>branches</c>, and its server's files below <c>run</c> in the state folder; a reset changes it.</summary>
    public required string Folder { get; init; }

    /// <summary>It is neither deleted nor reset until the protection is taken away.</summary>
    public required bool Protected { get; init; }

    /// <summary>Its time to live; absent for none.</summary>
    public double? TtlSeconds { get; init; }

    public BranchTtlStart? TtlFrom { get; init; }

    /// <summary>When it will be deleted; absent for never.</summary>
    public DateTimeOffset? ExpiresAt { get; init; }

    public required BranchDurability Durability { get; init; }

    /// <summary>Settings of its Postgres that it was given.</summary>
    public required IReadOnlyDictionary<string, string> Settings { get; init; }

    /// <summary>It can be reset to what it was at first.</summary>
    public required bool BirthKept { get; init; }

    public DateTimeOffset? ResetAt { get; init; }

    public DateTimeOffset? DeletedAt { get; init; }

    public DateTimeOffset? LastUsedAt { get; init; }

    /// <summary>How long its Postgres has run in all.</summary>
    public required double RunSeconds { get; init; }

    /// <summary>Processor time of its Postgres in all.</summary>
    public required double CpuSeconds { get; init; }

    /// <summary>Client connections through the gateway in all.</summary>
    public required long ConnectionsTotal { get; init; }

    /// <summary>Client connections through the gateway now.</summary>
    public required int Connections { get; init; }

    /// <summary>What a deletion would free; absent when the pool was not measured for this answer.</summary>
    public long? ExclusiveBytes { get; init; }

    /// <summary>What the branch would take if it shared nothing; absent when the pool was not measured for this answer.</summary>
    public long? TotalBytes { get; init; }

    public required string Host { get; init; }

    public required int Port { get; init; }

    public required string User { get; init; }

    public required string Database { get; init; }

    /// <summary>For any driver; holds the password.</summary>
    public required string Url { get; init; }

    /// <summary>A line for a shell; holds the password.</summary>
    public required string Psql { get; init; }

    /// <summary>How long the server took to make it, in milliseconds; only in the answer to its creation.</summary>
    public double? CreateMs { get; init; }

    /// <summary>What made its creation slower than it need be, for people; in the answer to that alone.</summary>
    public string? Note { get; init; }
}

[JsonConverter(typeof(CamelCaseName<BranchOrigin>))]
public enum BranchOrigin
{
    /// <summary>The newest seed at the time.</summary>
    Seed,

    /// <summary>The moment of the request.</summary>
    Now,

    /// <summary>A moment of production's past.</summary>
    Point,

    /// <summary>Another branch, at the moment of the request.</summary>
    Branch,
}

[JsonConverter(typeof(CamelCaseName<BranchLife>))]
public enum BranchLife
{
    Creating,
    Ready,
    Deleting,

    /// <summary>It can be restored for a while.</summary>
    Deleted,
}

[JsonConverter(typeof(CamelCaseName<BranchCompute>))]
public enum BranchCompute
{
    Asleep,
    Starting,
    Running,
    Stopping,
}

public sealed record BranchListResponse(IReadOnlyList<BranchResponse> Branches);
