namespace Tributary.Streaming.Targets.Postgres;

/// <summary>
/// Sorts the changes of a batch into as few statements as may be. Changes of one row become one (<see cref="TablePlan"/>); changes of different
/// rows may change places, which the target's transaction hides from every reader. Only a constraint other than the key can notice the order:
/// such a batch fails as a whole and is planned again in the order of the source, one statement a change.
/// </summary>
internal sealed class ApplyPlanner(bool inOrder)
{
    readonly List<ApplyRun> _runs = [];
    readonly Dictionary<TargetTable, TablePlan> _plans = [];

    /// <summary>Hashes of all keys that the batch touches, before and after; meaningless when it <see cref="IsBarrier"/>.</summary>
    public HashSet<ulong> KeyHashes { get; } = [];

    /// <summary>Whether the batch touches more than rows with keys, so that nothing may be applied beside it.</summary>
    public bool IsBarrier { get; private set; }

    public void Add(TargetTable table, LocatedChange located)
    {
        if (inOrder || !table.MayReorder || table.Columns.IsEmpty)
        {
            IsBarrier = true;
            AddAlone(table, located);
            return;
        }

        if (table.Key.IsEmpty && located.Change.Kind != ChangeKind.Insert)
        {
            IsBarrier = true;
            Plan(table).Flush(_runs);
            AddAlone(table, located);
            return;
        }

        Plan(table).Add(located, _runs, KeyHashes);
    }

    /// <summary>Everything before is written before.</summary>
    /// <param name="tables">Every table that the command empties.</param>
    public void AddTruncation(IReadOnlyList<TargetTable> tables, LocatedChange located)
    {
        // Of all tables: a partition may be emptied whose rows came under its parent's name.
        IsBarrier = true;
        Complete();
        var run = new ApplyRun(new RunShape(tables[0], RunKind.Truncate, "")) { Emptied = tables };
        run.Rows.Add(new ApplyRow(default, default, located));
        _runs.Add(run);
    }

    /// <summary>The runs in the order in which they are to be executed.</summary>
    public IReadOnlyList<ApplyRun> Complete()
    {
        foreach (var plan in _plans.Values)
            plan.Flush(_runs);
        return _runs;
    }

    void AddAlone(TargetTable table, LocatedChange located)
    {
        var change = located.Change;
        var whole = table.Key.IsEmpty;
        var kind = change.Kind switch
        {
            ChangeKind.Insert => RunKind.Insert,
            ChangeKind.Delete => whole ? RunKind.DeleteWhole : RunKind.Delete,
            _ when whole => RunKind.UpdateWhole,
            _ => TablePlan.ChangesKey(table, change) ? RunKind.UpdateKey : RunKind.Update,
        };
        var columns = change.Kind == ChangeKind.Update ? ApplyStatements.WrittenColumns(table, change.New, kind) : "";
        if (columns is null)
            return;
        var run = new ApplyRun(new RunShape(table, kind, columns));
        run.Rows.Add(new ApplyRow(change.New, TablePlan.KeyImage(change), located));
        _runs.Add(run);
    }

    TablePlan Plan(TargetTable table)
    {
        if (!_plans.TryGetValue(table, out var plan))
            _plans.Add(table, plan = new TablePlan(table));
        return plan;
    }
}
