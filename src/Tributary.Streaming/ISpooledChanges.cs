namespace Tributary.Streaming;

/// <summary>The changes of one transaction on disk. Disposing removes them.</summary>
internal interface ISpooledChanges : IDisposable
{
    long Count { get; }

    IAsyncEnumerable<IReadOnlyList<Change>> ReadPiecesAsync(CancellationToken cancellationToken);
}
