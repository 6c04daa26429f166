namespace Tributary.Contracts;

/// <summary>A stream at one moment. Counts begin with the process.</summary>
public sealed record StreamStatusResponse
{
    public required string Name { get; init; }

    public required PartState State { get; init; }

    /// <summary>What it does, in a word of the stream's own.</summary>
    public string? Phase { get; init; }

    /// <summary>The target, without its password.</summary>
    public string? Target { get; init; }

    /// <summary>Rows of the first copy that are in the target.</summary>
    public long RowsCopied { get; init; }

    /// <summary>Changes that the target has made durable.</summary>
    public long ChangesApplied { get; init; }

    public long TransactionsApplied { get; init; }

    /// <summary>Bytes of production's log that the target has not confirmed.</summary>
    public long? LagBytes { get; init; }

    /// <summary>From a commit on production to its commit in the target, in milliseconds; the median of the recent ones.</summary>
    public double? LagMsP50 { get; init; }

    public double? LagMsP99 { get; init; }

    /// <summary>The last position that was acknowledged to production.</summary>
    public string? ConfirmedLsn { get; init; }

    public string? Error { get; init; }
}

public sealed record StreamListResponse(IReadOnlyList<StreamStatusResponse> Streams);
