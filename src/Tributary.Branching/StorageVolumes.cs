using Microsoft.Extensions.Logging;

namespace Tributary.Branching;

/// <summary>What every driver does in the same way.</summary>
internal static class StorageVolumes
{
    /// <summary>Clones a volume as of one moment: where the driver's clones are not atomic, the server on it stands still meanwhile.</summary>
    /// <param name="running">The server on the source; null when none runs.</param>
    public static Task CloneAsync(this IStorageDriver storage, string source, string copy, IRunningPostgres? running, CancellationToken cancellationToken) =>
        storage.ClonesAreAtomic || running is null
            ? storage.CloneAsync(source, copy, cancellationToken)
            : running.RunFrozenAsync(token => storage.CloneAsync(source, copy, token), cancellationToken);

    /// <summary>Removes from a folder of the pool what a crash has left there.</summary>
    /// <param name="isKnown">Whether the catalog has the volume.</param>
    public static async Task RemoveUnknownAsync(
        this IStorageDriver storage, string folder, Func<string, bool> isKnown, ILogger logger, CancellationToken cancellationToken)
    {
        foreach (var volume in storage.List(folder).Where(volume => !isKnown(volume)))
        {
            Log.Reconciled(logger, volume);
            await storage.DeleteAsync(volume, cancellationToken);
        }
    }
}
