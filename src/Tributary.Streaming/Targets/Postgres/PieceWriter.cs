using Tributary.Postgres;

namespace Tributary.Streaming.Targets.Postgres;

/// <summary>Writes pieces of a large transaction into the open transaction of a session, each as a batch is written.</summary>
internal sealed class PieceWriter(ApplySession session, Lsn position)
{
    const string Savepoint = "tributary_piece";

    readonly TargetTables _tables = new(session.Connection);
    long _sequence;

    /// <summary>Updates and deletes that found no row.</summary>
    public long MissingRows { get; private set; }

    /// <summary>What was written since is undone, and with it what it missed.</summary>
    public void ForgetMissing(long missingRowsBefore) => MissingRows = missingRowsBefore;

    /// <param name="careful">
    /// The piece may be undone by itself, and is then written again in the order of the source: for a transaction that failed without. A savepoint
    /// a piece is what the first attempt saves.
    /// </param>
    /// <exception cref="RefusedException">The target refuses a row.</exception>
    /// <exception cref="StreamException">A table's shape differs.</exception>
    public async Task WriteAsync(IReadOnlyList<Change> changes, bool careful, CancellationToken cancellationToken)
    {
        if (!careful)
        {
            MissingRows += await ApplyAsync(changes, inOrder: false, cancellationToken);
        }
        else
        {
            await session.ExecuteAsync(cancellationToken, $"SAVEPOINT {Savepoint}");
            try
            {
                MissingRows += await ApplyAsync(changes, inOrder: false, cancellationToken);
            }
            catch (RefusedException refused) when (refused.IsData)
            {
                await session.ExecuteAsync(cancellationToken, $"ROLLBACK TO SAVEPOINT {Savepoint}");
                MissingRows += await ApplyAsync(changes, inOrder: true, cancellationToken);
            }

            await session.ExecuteAsync(cancellationToken, $"RELEASE SAVEPOINT {Savepoint}");
        }

        _sequence += changes.Count;
    }

    async Task<long> ApplyAsync(IReadOnlyList<Change> changes, bool inOrder, CancellationToken cancellationToken)
    {
        foreach (var change in changes)
        {
            if (change.Schema is { } schema)
                throw new StreamException(StreamErrorKind.Schema, $"{schema.Tag} within a large transaction is not carried. Position: transaction that ends at {position}.");
        }

        var planner = new ApplyPlanner(inOrder);
        await _tables.PlanAsync(planner, changes, position, _sequence, cancellationToken);
        return await session.ApplyAsync(planner.Complete(), cancellationToken);
    }
}
