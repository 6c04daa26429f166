using System.Text.Json.Serialization;

namespace Tributary.Contracts;

/// <summary>Changes a branch; what is absent stays.</summary>
public sealed record BranchUpdateRequest
{
    /// <summary>A new name.</summary>
    public string? Name { get; init; }

    /// <summary>Who answers for it; empty for nobody.</summary>
    public string? Owner { get; init; }

    /// <summary>Labels to set; one with the value null is taken away. Others stay.</summary>
    public IReadOnlyDictionary<string, string?>? Labels { get; init; }

    /// <summary>A protected branch is neither deleted nor reset.</summary>
    public bool? Protected { get; init; }

    /// <summary>After so many seconds it is deleted; 0 for never.</summary>
    public double? TtlSeconds { get; init; }

    public BranchTtlStart? TtlFrom { get; init; }

    public BranchDurability? Durability { get; init; }

    /// <summary>Settings of its Postgres; one with the value null is taken away. They hold from its next start on.</summary>
    public IReadOnlyDictionary<string, string?>? Settings { get; init; }
}

/// <summary>Makes a branch anew; its name and password stay, its sessions are cut.</summary>
/// <param name="To">What it becomes.</param>
public sealed record BranchResetRequest(BranchResetTarget To);

/// <summary>Brings a deleted branch back.</summary>
/// <param name="Name">When its name has been taken meanwhile; absent for the one that it had.</param>
public sealed record BranchRestoreRequest(string? Name);

[JsonConverter(typeof(CamelCaseName<BranchResetTarget>))]
public enum BranchResetTarget
{
    /// <summary>What its parent is now.</summary>
    Parent,

    /// <summary>What it was when it was made, or last reset to its parent.</summary>
    Birth,
}

[JsonConverter(typeof(CamelCaseName<BranchTtlStart>))]
public enum BranchTtlStart
{
    /// <summary>With its creation, also while somebody is in it.</summary>
    Creation,

    /// <summary>With its last use.</summary>
    LastUse,
}

[JsonConverter(typeof(CamelCaseName<BranchDurability>))]
public enum BranchDurability
{
    /// <summary>A commit does not wait for the disk; a crash may take the last 0.6 s.</summary>
    Ephemeral,

    /// <summary>A commit waits for the disk.</summary>
    Durable,
}
