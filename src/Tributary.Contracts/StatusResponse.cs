using System.Text.Json.Serialization;

namespace Tributary.Contracts;

/// <summary>What a server does at one moment. Holds no secret.</summary>
public sealed record StatusResponse
{
    public required string Version { get; init; }

    public required int ProcessId { get; init; }

    public required double UptimeSeconds { get; init; }

    /// <summary>Resident memory of the server's own process; the Postgres processes that it runs are not in it.</summary>
    public required long ResidentBytes { get; init; }

    /// <summary>Production, without its password; absent when main follows nothing and there is no stream.</summary>
    public string? Source { get; init; }

    public required string StateDirectory { get; init; }

    public required IReadOnlyList<StreamStatusResponse> Streams { get; init; }

    public required BranchingStatusResponse Branching { get; init; }

    public required GatewayStatusResponse Gateway { get; init; }
}

/// <summary>Whether a part of the server works. A failed part takes no other with it.</summary>
[JsonConverter(typeof(CamelCaseName<PartState>))]
public enum PartState
{
    /// <summary>Not configured.</summary>
    Off,
    Starting,
    Running,

    /// <summary>It has ended by an error, which is told beside this.</summary>
    Failed,
    Stopped,
}

/// <summary>Branching at one moment.</summary>
public sealed record BranchingStatusResponse
{
    public required PartState State { get; init; }

    /// <summary>How main comes to its data: <c>physical</c>, or <c>none</c> for a main that follows no production.</summary>
    public string? Following { get; init; }

    /// <summary>What it does: <c>baseBackup</c>, <c>catchingUp</c>, <c>following</c>, or <c>serving</c> when main follows nothing …</summary>
    public string? Phase { get; init; }

    public string? Driver { get; init; }

    /// <summary>Where main has replayed production's log to, or where its own ends.</summary>
    public string? MainLsn { get; init; }

    public double? BaseBackupPercent { get; init; }

    /// <summary>Newest first.</summary>
    public IReadOnlyList<SeedResponse> Seeds { get; init; } = [];

    /// <summary>Spares that can be promoted now.</summary>
    public int SparesReady { get; init; }

    /// <summary>The earliest moment that a branch of the past can be of; absent while none can.</summary>
    public DateTimeOffset? PastSince { get; init; }

    public int Branches { get; init; }

    public int Running { get; init; }

    public long? PoolUsedBytes { get; init; }

    public long? PoolBytesMax { get; init; }

    public long? MainBytes { get; init; }

    /// <summary>Bytes that only branches hold, all of them together.</summary>
    public long? BranchesExclusiveBytes { get; init; }

    public string? Error { get; init; }
}

public sealed record SeedResponse(string Id, string Lsn, DateTimeOffset DataTime);

/// <summary>The gateway at one moment.</summary>
public sealed record GatewayStatusResponse
{
    public required PartState State { get; init; }

    public string? Host { get; init; }

    public int? Port { get; init; }

    public int Connections { get; init; }

    public bool Tls { get; init; }

    public string? Error { get; init; }
}
