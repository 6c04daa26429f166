namespace Tributary.Branching.Importing;

/// <summary>
/// Whether an import leaves the pool what is kept back. A file system counts as used what it has put somewhere, not what still waits in memory;
/// so that is written first. Until the next look the import is expected to take as much as since the last one.
/// </summary>
/// <param name="freeBytes">What the pool has free.</param>
/// <param name="flush">Writes what the pool has in memory.</param>
internal sealed class ImportSpace(Func<long> freeBytes, Func<CancellationToken, Task> flush)
{
    long? _before;

    public async Task<bool> IsShortAsync(CancellationToken cancellationToken)
    {
        await flush(cancellationToken);
        var free = freeBytes();
        var taken = Math.Max(0, (_before ?? free) - free);
        _before = free;
        return free - taken < BranchRegistry.FreeBytesMin;
    }
}
