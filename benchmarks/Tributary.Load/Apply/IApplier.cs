namespace Tributary.Load.Apply;

/// <summary>A way to carry a backlog of changes into a target of its own.</summary>
interface IApplier : IAsyncDisposable
{
    Role Role { get; }

    string Contestant { get; }

    /// <summary>Begins to follow production, whose tables hold <see cref="BacklogTables"/>' first rows, and stops again: from now on a slot keeps what it misses.</summary>
    Task PrepareAsync(CancellationToken cancellationToken);

    /// <summary>Begins to carry the backlog.</summary>
    Task StartAsync(CancellationToken cancellationToken);

    /// <summary>All processes that work for it, at production and at the target.</summary>
    Task<IReadOnlyList<int>> ProcessIdsAsync(CancellationToken cancellationToken);

    /// <summary>A connection string of its target.</summary>
    string Target { get; }
}
