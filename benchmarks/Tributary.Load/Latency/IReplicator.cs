namespace Tributary.Load.Latency;

/// <summary>A way to keep a replica of production.</summary>
interface IReplicator : IAsyncDisposable
{
    Role Role { get; }

    string Contestant { get; }

    /// <summary>The replica that it writes to, which is its own.</summary>
    string Replica { get; }

    /// <summary>All processes that work for it: the reader on production, what stands between, and the writer on the replica.</summary>
    Task<IReadOnlyList<int>> ProcessIdsAsync(CancellationToken cancellationToken);
}
