namespace Tributary.Branching;

/// <summary>A branch that somebody wants.</summary>
/// <param name="Origin">What it is a copy of.</param>
public sealed record BranchRequest(BranchName Name, BranchOrigin Origin)
{
    /// <summary>The branch that it forks; only with <see cref="BranchOrigin.Branch"/>.</summary>
    public string? Parent { get; init; }

    /// <summary>The moment of production's past; only with <see cref="BranchOrigin.Point"/>.</summary>
    public BranchPoint? Point { get; init; }

    /// <summary>A repetition with the same key answers the branch of the first request; null for none.</summary>
    public string? IdempotencyKey { get; init; }

    public BranchPolicy Policy { get; init; } = BranchPolicy.Default;
}

/// <summary>What a reset makes a branch again.</summary>
public enum ResetTarget
{
    /// <summary>What its parent is now: the present of production, or of the branch that it was forked from.</summary>
    Parent,

    /// <summary>What it was when it was made, or last reset to its parent.</summary>
    Birth,
}
