namespace Tributary.Branching;

/// <summary>
/// A place for data directories that can fork them. Paths are relative to the pool, for example <c>branches/b17</c>.
/// Every operation is idempotent: a repetition after a crash ends in the same state.
/// </summary>
public interface IStorageDriver
{
    /// <summary>The name in the configuration.</summary>
    string Name { get; }

    /// <summary>Whether a clone of a running server's directory is one moment of it; else the server must be frozen or stopped for the clone.</summary>
    bool ClonesAreAtomic { get; }

    /// <summary>Whether a clone takes only what differs; else it costs as much as what it was made of.</summary>
    bool ClonesShareBytes { get; }

    string PathOf(string volume);

    /// <summary>Makes an empty volume, owned by the user that runs Postgres, with mode 0700 as Postgres demands.</summary>
    /// <exception cref="StorageException">The file system refuses; the message says what.</exception>
    Task CreateAsync(string volume, CancellationToken cancellationToken);

    /// <summary>Compresses what is written to an empty volume from now on, where the file system can. Such files share no bytes with those of other volumes.</summary>
    /// <exception cref="StorageException">The file system refuses; the message says what.</exception>
    Task CompressAsync(string volume, CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>
    /// Makes a writable copy that shares what it can. A half-made copy of an earlier try is replaced. Where clones are not atomic, nothing may write
    /// to the source until the copy is made.
    /// </summary>
    /// <exception cref="StorageException">The file system refuses; the message says what.</exception>
    Task CloneAsync(string source, string copy, CancellationToken cancellationToken);

    /// <summary>
    /// Shares with another volume what the first one does not share yet and both hold alike, where the file system can. Either may be in use, and
    /// either may be deleted afterwards. Answers how many bytes are shared now.
    /// </summary>
    /// <exception cref="StorageException">The file system refuses; what has been shared stays so.</exception>
    Task<long> ShareAlikeAsync(string volume, string other, CancellationToken cancellationToken) => Task.FromResult(0L);

    /// <summary>
    /// Forbids writes to a volume, so that what is cloned from it stays what it was. Only drivers with atomic clones can forbid them; with the others
    /// nothing may be started on the volume any more.
    /// </summary>
    Task FreezeAsync(string volume, CancellationToken cancellationToken);

    /// <summary>
    /// Removes a volume and all in it, also one that others were cloned from, and also when the pool is full; does nothing when there is none.
    /// </summary>
    Task DeleteAsync(string volume, CancellationToken cancellationToken);

    /// <summary>The volumes below a folder of the pool, for example all of <c>branches</c>; what a crash has left half-made is among them under a name that can be deleted.</summary>
    IReadOnlyList<string> List(string folder);

    /// <summary>Exclusive and total bytes of each of the volumes; a volume that is gone is left out.</summary>
    Task<IReadOnlyDictionary<string, BranchUsage>> MeasureAsync(IReadOnlyList<string> volumes, CancellationToken cancellationToken);
}

/// <summary>The pool's file system has refused an operation.</summary>
/// <param name="isFull">No space is left.</param>
public sealed class StorageException(string message, bool isFull = false) : Exception(message)
{
    public bool IsFull { get; } = isFull;
}
