namespace Tributary.Branching.Tests;

/// <summary>Branches with tight limits, so that a test meets them within seconds.</summary>
public sealed class LimitedBranchingFixture : IAsyncLifetime
{
    public BranchingFixture Branching { get; } = new()
    {
        Adjust = static options => options with { BranchMemoryMax = 128L << 20, BranchCpusMax = 0.5, BranchProcessesMax = 40 },
    };

    public ValueTask InitializeAsync() => Branching.InitializeAsync();

    public ValueTask DisposeAsync() => Branching.DisposeAsync();
}
