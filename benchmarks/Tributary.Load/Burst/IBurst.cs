using Tributary.Load.Create;

namespace Tributary.Load.Burst;

/// <summary>A way to get branches that can be asked for many at once.</summary>
interface IBurst : IBranchMaker
{
    /// <summary>Memory that all its processes hold now; a page that several share counts once.</summary>
    long MemoryBytes { get; }

    /// <summary>Waits until it is ready for the next burst, as it is on a server that has had time.</summary>
    Task PrepareAsync(CancellationToken cancellationToken);
}
