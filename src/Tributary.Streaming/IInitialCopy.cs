using Tributary.Postgres;

namespace Tributary.Streaming;

/// <summary>Brings the rows that exist into the target, consistent with the stream that follows.</summary>
public interface IInitialCopy
{
    /// <summary>Before the first copy: makes sure that neither side holds anything that the copy would have to take away from its owner.</summary>
    /// <exception cref="StreamException">The source has a slot, or the target tables, of the same name. Nothing was changed.</exception>
    Task RefuseOthersAsync(CancellationToken cancellationToken);

    /// <summary>Creates the slot and copies everything as of its position, which is the answer.</summary>
    /// <param name="copying">What the target has saved of this copy; it commits nothing once a newer instance has raised the epoch.</param>
    /// <exception cref="StreamException">The source or the target refuses; nothing of a user's was overwritten.</exception>
    Task<Lsn> RunAsync(Checkpoint copying, ICopyProgress progress, CancellationToken cancellationToken);
}

/// <summary>Hears how far a copy is. Safe to call from several threads.</summary>
public interface ICopyProgress
{
    void SchemaStarted();

    void RowsStarted(int tables, long rowsEstimated);

    void RowsCopied(long rows, long bytes);

    void TableDone(long rowsEstimated, long rows);

    void Finished();
}
