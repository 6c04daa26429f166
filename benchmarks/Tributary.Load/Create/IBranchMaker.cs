namespace Tributary.Load.Create;

/// <summary>A way to get a branch, or back into one: the benchmark asks each for branches in turn, so that the machine's moods fall on all alike.</summary>
interface IBranchMaker
{
    Role Role { get; }

    string Contestant { get; }

    /// <summary>Processor time that it has used so far for all its branches, in milliseconds; those that are not removed yet may be missing.</summary>
    double CpuMs { get; }

    /// <summary>Makes one branch and reads the first row from it with one query.</summary>
    Task<MadeBranch> MakeAsync(string name, CancellationToken cancellationToken);
}

/// <summary>A running branch that has answered. Disposing it stops and removes it, outside the measured time.</summary>
/// <param name="Elapsed">From the request to the first row.</param>
/// <param name="Parts">Steps of <paramref name="Elapsed"/> in their order; empty where they cannot be told apart.</param>
/// <param name="MemoryBytes">What its processes hold while it is idle.</param>
sealed record MadeBranch(TimeSpan Elapsed, IReadOnlyList<(string Step, TimeSpan Elapsed)> Parts, long MemoryBytes, Func<ValueTask> RemoveAsync) : IAsyncDisposable
{
    public ValueTask DisposeAsync() => RemoveAsync();
}
