using Tributary.Postgres;

namespace Tributary.Streaming;

/// <summary>
/// Where changes go. Calls are made one at a time, except that <see cref="WriteAsync"/> may be called again before it has answered. A target keeps the stream's checkpoint itself, so that it can save the position together with
/// the data. One instance serves one connection; after a lost link the pipeline makes a new one.
/// </summary>
public interface ITarget : IAsyncDisposable
{
    /// <summary>How many batches may be on their way at a time. Whatever it is, they become durable in the order in which they were given.</summary>
    int BatchesInFlightMax => 1;

    /// <summary>Whether its connections are open. One that is lost while nobody uses it shows at its next use, and then not as a lost link.</summary>
    bool IsLinked => true;

    /// <summary>Connects, shuts out every other instance of the stream, and answers where the stream stands; null when it never ran.</summary>
    /// <exception cref="StreamException">Kind Fenced: another instance runs.</exception>
    Task<Checkpoint?> OpenAsync(CancellationToken cancellationToken);

    /// <summary>Records that a copy of the existing rows is under way, after removing what an unfinished one has left.</summary>
    Task<Checkpoint> BeginCopyAsync(SourceIdentity source, CancellationToken cancellationToken);

    /// <summary>Records that the target holds all rows as of the position.</summary>
    Task<Checkpoint> CompleteCopyAsync(Lsn position, CancellationToken cancellationToken);

    /// <summary>
    /// Records that the source goes on as another timeline, which holds all that the target has. A target that does not keep timelines answers the
    /// checkpoint as it was; whether the source has lost what the target holds is then not checked.
    /// </summary>
    Task<Checkpoint> SaveTimelineAsync(Checkpoint checkpoint, uint timeline, CancellationToken cancellationToken) => Task.FromResult(checkpoint);

    /// <summary>Applies whole transactions in order and saves the batch's position with them: after the answer both are durable, after an error neither is.</summary>
    /// <exception cref="StreamException">A row cannot be applied, a table's shape differs, or another instance has taken over.</exception>
    Task<WriteOutcome> WriteAsync(TransactionBatch batch, CancellationToken cancellationToken);
}

public enum CheckpointState
{
    /// <summary>A copy of the existing rows was begun and not finished.</summary>
    Copying,
    Streaming,
}

/// <summary>Where a stream stands, as its target has saved it.</summary>
/// <param name="Position">The end of the last commit that the target holds.</param>
/// <param name="Epoch">Grows with each start; a write with an older epoch is refused by the target.</param>
/// <param name="Timeline">The source's timeline that the position belongs to; 0 when it is not known.</param>
public sealed record Checkpoint(CheckpointState State, string SystemIdentifier, string SlotName, Lsn Position, long Epoch, uint Timeline = 0);

/// <param name="Position">Saved with the transactions; not before the last one's commit end.</param>
public sealed record TransactionBatch(IReadOnlyList<Transaction> Transactions, Lsn Position);

/// <param name="MissingRows">Updates and deletes that found no row.</param>
/// <param name="SchemaChanges">Commands that changed the schema.</param>
/// <param name="Reports">What of them the target does not have; null for nothing.</param>
public readonly record struct WriteOutcome(long MissingRows, long SchemaChanges = 0, IReadOnlyList<SchemaReport>? Reports = null);
