namespace Tributary.Streaming;

/// <summary>The changes of one committed transaction on disk. Disposing removes them.</summary>
internal interface ISpooledChanges : IDisposable
{
    /// <summary>How many there are of each kind; what was undone is not counted.</summary>
    ChangeCounts Counts { get; }

    /// <summary>Whether one of them changes the schema.</summary>
    bool ChangesSchema { get; }

    /// <summary>Changes of every kind, those of the schema included.</summary>
    long Count { get; }

    /// <summary>Each call begins anew.</summary>
    IAsyncEnumerable<IReadOnlyList<Change>> ReadPiecesAsync(CancellationToken cancellationToken);
}
