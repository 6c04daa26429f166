using System.Text;

namespace Tributary.Streaming.Targets.Postgres;

/// <summary>
/// Sorts the changes of a batch into as few statements as may be. Changes of one row keep their order and lie in different runs; changes of
/// different rows may change places, which the target's transaction hides from every reader. Only a unique constraint other than the key can
/// notice the order: such a batch fails as a whole and is planned again in the order of the source, one statement a change.
/// </summary>
internal sealed class ApplyPlanner(bool inOrder)
{
    readonly List<ApplyRun> _runs = [];
    readonly Dictionary<TargetTable, TablePlan> _plans = [];

    public IReadOnlyList<ApplyRun> Runs => _runs;

    public void Add(TargetTable table, LocatedChange located)
    {
        var change = located.Change;
        var shape = ShapeOf(table, change);
        if (shape is not { } wanted)
            return;
        if (inOrder || wanted.Kind is RunKind.UpdateWhole or RunKind.DeleteWhole || table.Columns.IsEmpty)
        {
            Append(wanted, located);
            Plan(table).After = _runs.Count - 1;
            return;
        }

        var plan = Plan(table);
        var newKey = change.New.IsEmpty || table.Key.IsEmpty ? null : KeyHash(table, change.New);
        var oldKey = change.Old.IsEmpty || table.Key.IsEmpty ? null : KeyHash(table, change.Old);
        var after = Math.Max(plan.After, Math.Max(plan.LastRun(newKey), plan.LastRun(oldKey)));
        var index = plan.FindRun(wanted, after);
        if (index < 0)
        {
            index = Append(wanted, located);
            plan.Opened(wanted, index);
        }
        else
        {
            _runs[index].Changes.Add(located);
        }

        plan.Touched(newKey, index);
        plan.Touched(oldKey, index);
    }

    /// <param name="tables">Every table that the command empties.</param>
    public void AddTruncation(TargetTable first, IReadOnlyList<TargetTable> tables, LocatedChange located)
    {
        var index = Append(new RunShape(first, RunKind.Truncate, ""), located);
        foreach (var table in tables)
            Plan(table).After = index;
    }

    int Append(RunShape shape, LocatedChange located)
    {
        var run = new ApplyRun(shape);
        run.Changes.Add(located);
        _runs.Add(run);
        return _runs.Count - 1;
    }

    TablePlan Plan(TargetTable table)
    {
        if (!_plans.TryGetValue(table, out var plan))
            _plans.Add(table, plan = new TablePlan());
        return plan;
    }

    // Null: nothing to write, as when an update sets no column but its unchanged key.
    static RunShape? ShapeOf(TargetTable table, Change change)
    {
        switch (change.Kind)
        {
            case ChangeKind.Insert:
                return new RunShape(table, RunKind.Insert, "");
            case ChangeKind.Delete:
                return new RunShape(table, table.Key.IsEmpty ? RunKind.DeleteWhole : RunKind.Delete, "");
            default:
                var kind = table.Key.IsEmpty ? RunKind.UpdateWhole
                    : change.OldKind != OldRowKind.None && !SameKey(table, change) ? RunKind.UpdateKey
                    : RunKind.Update;
                return Written(table, change, kind) is { } columns ? new RunShape(table, kind, columns) : null;
        }
    }

    static string? Written(TargetTable table, Change change, RunKind kind)
    {
        var all = true;
        var any = false;
        var reader = change.New.Read();
        for (var i = 0; reader.Next(); i++)
        {
            if (!ApplyStatements.IsWritten(table, i, kind))
                continue;
            if (reader.Kind == ValueKind.Unchanged)
                all = false;
            else
                any = true;
        }

        if (!any)
            return null;
        if (all)
            return "";
        var columns = new StringBuilder();
        reader = change.New.Read();
        for (var i = 0; reader.Next(); i++)
        {
            if (reader.Kind != ValueKind.Unchanged && ApplyStatements.IsWritten(table, i, kind))
                columns.Append(i).Append(',');
        }

        return columns.ToString();
    }

    static bool SameKey(TargetTable table, Change change)
    {
        var oldRow = change.Old.Read();
        var newRow = change.New.Read();
        for (var i = 0; oldRow.Next() && newRow.Next(); i++)
        {
            // A large key value that did not change is not sent in the new row.
            if (table.Key.Contains(i) && newRow.Kind != ValueKind.Unchanged && !oldRow.Value.Span.SequenceEqual(newRow.Value.Span))
                return false;
        }

        return true;
    }

    // Two keys with one hash only make a batch longer, never wrong.
    static int? KeyHash(TargetTable table, RowImage row)
    {
        var hash = new HashCode();
        var reader = row.Read();
        for (var i = 0; reader.Next(); i++)
        {
            if (!table.Key.Contains(i))
                continue;
            hash.Add(reader.Value.Length);
            hash.AddBytes(reader.Value.Span);
        }

        return hash.ToHashCode();
    }

    /// <summary>What a table's changes have been put into so far.</summary>
    sealed class TablePlan
    {
        readonly Dictionary<int, int> _lastRunOfKey = [];
        readonly Dictionary<RunShape, List<int>> _open = [];

        /// <summary>A run that everything later must follow, such as a TRUNCATE; -1 for none.</summary>
        public int After { get; set; } = -1;

        public int LastRun(int? key) => key is { } hash && _lastRunOfKey.TryGetValue(hash, out var run) ? run : -1;

        public void Touched(int? key, int run)
        {
            if (key is { } hash)
                _lastRunOfKey[hash] = run;
        }

        public void Opened(RunShape shape, int run)
        {
            if (!_open.TryGetValue(shape, out var runs))
                _open.Add(shape, runs = []);
            runs.Add(run);
        }

        public int FindRun(RunShape shape, int after)
        {
            if (!_open.TryGetValue(shape, out var runs))
                return -1;
            var place = runs.BinarySearch(after + 1);
            place = place < 0 ? ~place : place;
            return place < runs.Count ? runs[place] : -1;
        }
    }
}
