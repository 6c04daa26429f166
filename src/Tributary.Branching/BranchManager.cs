namespace Tributary.Branching;

public sealed class BranchManager : IAsyncDisposable
{
    /// <summary>Opens the pool and the catalog, mends what a crash left, begins to follow production and to make seeds.</summary>
    public Task<BranchResult<BranchManager>> StartAsync(CancellationToken cancellationToken) => throw new NotSupportedException();

    /// <summary>Runs the follower, the seed loop and the idle reaper until cancelled.</summary>
    public Task RunAsync(CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task<BranchResult<Branch>> CreateAsync(BranchName name, CancellationToken cancellationToken) => throw new NotSupportedException();

    public IReadOnlyList<Branch> List() => throw new NotSupportedException();

    /// <summary>Answers NotFound with near names in its message.</summary>
    public BranchResult<Branch> Find(string name) => throw new NotSupportedException();

    public Task<BranchResult<Branch>> DeleteAsync(BranchName name, CancellationToken cancellationToken) => throw new NotSupportedException();

    /// <summary>Wakes the branch when it sleeps and counts a connection on it until the lease is disposed.</summary>
    public Task<BranchResult<ComputeLease>> ConnectAsync(BranchName name, CancellationToken cancellationToken) => throw new NotSupportedException();

    /// <summary>The password of a branch's owner role, derived from the key in the state folder; nothing stores it.</summary>
    public string PasswordOf(Branch branch) => throw new NotSupportedException();

    /// <summary>Exclusive and shared bytes of each branch and of main, read from the file system.</summary>
    public Task<PoolUsage> MeasureAsync(CancellationToken cancellationToken) => throw new NotSupportedException();

    public BranchingStatus Status => throw new NotSupportedException();

    public ValueTask DisposeAsync() => throw new NotSupportedException();
}

/// <summary>A running branch, held awake until disposed.</summary>
public sealed class ComputeLease : IAsyncDisposable
{
    /// <summary>Path of the Unix socket of the branch's Postgres (the socket file itself).</summary>
    public required string SocketPath { get; init; }

    /// <summary>Null when it already ran; else how long the start took.</summary>
    public TimeSpan? WakeTime { get; init; }

    public ValueTask DisposeAsync() => throw new NotSupportedException();
}
