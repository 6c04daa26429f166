using Tributary.Postgres;

namespace Tributary.Streaming;

/// <summary>Brings the rows that exist into the target, consistent with the stream that follows.</summary>
public interface IInitialCopy
{
    /// <summary>Creates the slot and copies everything as of its position, which is the answer.</summary>
    /// <exception cref="StreamException">The source or the target refuses; nothing of a user's was overwritten.</exception>
    Task<Lsn> RunAsync(ICopyProgress progress, CancellationToken cancellationToken);
}

/// <summary>Hears how far a copy is. Safe to call from several threads.</summary>
public interface ICopyProgress
{
    void SchemaStarted();

    void RowsStarted(int tables, long rowsEstimated);

    void RowsCopied(long bytes);

    void TableDone(long rows);
}
