namespace Tributary.Server.Configuration;

/// <summary>Values that flags give; they go over the environment, which goes over the file. Null: not given.</summary>
public sealed record ConfigurationOverrides
{
    public string? State { get; init; }

    public string? Source { get; init; }

    /// <summary>Adds a stream named <c>replica</c> to this Postgres.</summary>
    public string? Replica { get; init; }

    public string? GatewayListen { get; init; }

    public string? ApiSocket { get; init; }

    /// <summary>Turns branching on with its defaults when there is no file to say so.</summary>
    public bool Branching { get; init; }

    /// <summary>Leaves branching out although the file has it.</summary>
    public bool NoBranching { get; init; }
}
