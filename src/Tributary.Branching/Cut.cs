using Tributary.Branching.Seeding;
using Tributary.Postgres;

namespace Tributary.Branching;

/// <summary>The present, ready to become branches: a seed to clone, or a promoted spare that is the one requester's.</summary>
/// <param name="Lsn">Production's log is in it up to here.</param>
/// <param name="DataTime">It holds what production had acknowledged at this moment.</param>
internal sealed record Cut(SeedStatus? Seed, Spare? Spare, Lsn Lsn, DateTimeOffset DataTime)
{
    /// <summary>Or the branch to fork.</summary>
    public Branch? Fork { get; init; }

    /// <summary>Or a moment of the past; position and time are known once its volume is made.</summary>
    public BranchPoint? Point { get; init; }

    /// <summary>Or a frozen volume.</summary>
    public string? Volume { get; init; }
}
