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
}

[JsonConverter(typeof(CamelCaseName<BranchOrigin>))]
public enum BranchOrigin
{
    /// <summary>The newest seed at the time.</summary>
    Seed,

    /// <summary>The moment of the request.</summary>
    Now,
}

[JsonConverter(typeof(CamelCaseName<BranchLife>))]
public enum BranchLife
{
    Creating,
    Ready,
    Deleting,
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
