using Npgsql;
using Tributary.Postgres;

namespace Tributary.Streaming.Targets.Postgres;

/// <summary>The target's tables as far as the stream has met them, and the plans of what it brings. Uses a connection of its own, one call at a time.</summary>
internal sealed class TargetTables(NpgsqlConnection connection)
{
    readonly Dictionary<uint, TargetTable> _tables = [];

    /// <summary>Forgets all tables, since the schema has changed.</summary>
    public void Forget() => _tables.Clear();

    public async Task<ApplyPlanner> PlanAsync(TransactionBatch batch, bool inOrder, CancellationToken cancellationToken)
    {
        var planner = new ApplyPlanner(inOrder);
        foreach (var transaction in batch.Transactions)
            await PlanAsync(planner, transaction.Changes, transaction.CommitEndLsn, 0, cancellationToken);
        return planner;
    }

    /// <param name="first">The place of the first of the changes in their transaction.</param>
    public async Task PlanAsync(
        ApplyPlanner planner, IReadOnlyList<Change> changes, Lsn commitEndLsn, long first, CancellationToken cancellationToken)
    {
        for (var i = 0; i < changes.Count; i++)
        {
            var change = changes[i];
            var located = new LocatedChange(change, commitEndLsn, first + i);
            // It shows what is known, or the transaction would be written by SchemaTransaction.
            if (change.Schema is { IsRepeated: true })
                continue;

            // Such a transaction is written alone, by SchemaTransaction; passed over here, the command would be lost without a word.
            if (change.Kind == ChangeKind.Schema)
                throw new InvalidOperationException($"A change of the schema came among rows: {located}.");

            var table = TryGet(change.Table) ?? await LoadAsync(change.Table, located, cancellationToken);
            if (change.Truncation is not { } truncation)
            {
                planner.Add(table, located);
                continue;
            }

            var tables = new List<TargetTable>();
            foreach (var emptied in truncation.Tables)
                tables.Add(TryGet(emptied) ?? await LoadAsync(emptied, located, cancellationToken));
            planner.AddTruncation(tables, located);
        }
    }

    TargetTable? TryGet(TableSchema schema) => _tables.TryGetValue(schema.RelationId, out var known) && known.Schema == schema ? known : null;

    async Task<TargetTable> LoadAsync(TableSchema schema, LocatedChange located, CancellationToken cancellationToken)
    {
        try
        {
            return _tables[schema.RelationId] = await TargetTable.LoadAsync(connection, schema, cancellationToken);
        }
        catch (StreamException exception)
        {
            throw new StreamException(exception.Kind, $"{exception.Message} Position: {located}.");
        }
    }
}
