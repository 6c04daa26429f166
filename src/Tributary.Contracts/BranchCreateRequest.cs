namespace Tributary.Contracts;

/// <summary>Asks for a branch.</summary>
public sealed record BranchCreateRequest
{
    /// <summary>A DNS label; when it is absent the server makes a name such as <c>calm-otter-4821</c>.</summary>
    public string? Name { get; init; }

    /// <summary>
    /// Take the newest seed, which is cheaper and as old as that seed. Otherwise the branch is as of now: it holds every transaction that
    /// production had acknowledged before the request.
    /// </summary>
    public bool FromSeed { get; init; }

    /// <summary>The name of a branch to fork instead of production: the new one holds all that it has committed.</summary>
    public string? From { get; init; }

    /// <summary>
    /// A moment of production's past instead of the present: ISO 8601, which holds all that was committed until then by production's clock, or a
    /// position of its log, which holds every record that ends there or before.
    /// </summary>
    public string? At { get; init; }

    /// <summary>Who answers for it.</summary>
    public string? Owner { get; init; }

    public IReadOnlyDictionary<string, string>? Labels { get; init; }

    /// <summary>A protected branch is neither deleted nor reset.</summary>
    public bool Protected { get; init; }

    /// <summary>After so many seconds it is deleted; absent for never.</summary>
    public double? TtlSeconds { get; init; }

    public BranchTtlStart TtlFrom { get; init; }

    public BranchDurability Durability { get; init; }

    /// <summary>Settings of its Postgres.</summary>
    public IReadOnlyDictionary<string, string>? Settings { get; init; }

    /// <summary>
    /// Any text of at most 128 characters. A second request with the same key answers the branch that the first one made, so that a client
    /// may repeat a request whose answer it lost, also after the server has started anew.
    /// </summary>
    public string? IdempotencyKey { get; init; }
}
