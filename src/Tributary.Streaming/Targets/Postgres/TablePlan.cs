using System.Runtime.InteropServices;

namespace Tributary.Streaming.Targets.Postgres;

/// <summary>
/// The changes of one table in one batch, one per row of the table: what follows an insert or an update of the same row is merged into it, and
/// what was inserted and deleted again is not written at all. Pairs that a consistent source does not send, and updates that change a key, are
/// not merged; what is pending is written before them.
/// </summary>
internal sealed class TablePlan(TargetTable table)
{
    readonly Dictionary<RowKey, int> _placeOfKey = [];
    readonly List<Pending> _pending = [];
    readonly HashSet<ulong> _rekeyed = [];
    ApplyRun? _rekeys;
    ulong? _keyFormats;

    enum Effect
    {
        Nothing,
        Insert,
        Update,
        Delete,

        /// <summary>The row was deleted, and another was inserted under its key.</summary>
        Replace,
    }

    /// <summary>An update may send an unchanged large key with the old row alone.</summary>
    public static RowImage KeyImage(Change change) => change.Old.IsEmpty ? change.New : change.Old;

    public static bool ChangesKey(TargetTable table, Change change)
    {
        if (change.OldKind == OldRowKind.None)
            return false;
        var (oldRow, newRow) = (change.Old.Read(), change.New.Read());
        for (var i = 0; oldRow.Next() && newRow.Next(); i++)
        {
            // A large key value that did not change is not sent in the new row.
            if (table.Columns[i].IsInKey && newRow.Kind != ValueKind.Unchanged && !oldRow.Value.Span.SequenceEqual(newRow.Value.Span))
                return true;
        }

        return false;
    }

    public void Add(LocatedChange located, List<ApplyRun> runs, HashSet<ulong> keyHashes)
    {
        var change = located.Change;
        if (table.Key.IsEmpty)
        {
            _pending.Add(new Pending(Effect.Insert, new ApplyRow(change.New, default, located)));
            return;
        }

        var key = RowKey.Of(table, KeyImage(change));
        keyHashes.Add(key.Hash);
        if (!key.IsWhole || (_keyFormats is { } formats && formats != key.Formats))
            Flush(runs);
        if (change.Kind == ChangeKind.Update && ChangesKey(table, change))
        {
            AddRekey(key, located, runs, keyHashes);
            return;
        }

        _rekeys = null;
        if (_placeOfKey.TryGetValue(key, out var place) && !TryMerge(ref CollectionsMarshal.AsSpan(_pending)[place], located))
            Flush(runs);
        _keyFormats = key.Formats;
        if (_placeOfKey.TryAdd(key, _pending.Count))
            _pending.Add(new Pending(EffectOf(change.Kind), new ApplyRow(change.New, KeyImage(change), located)));
        if (!key.IsWhole)
            Flush(runs);
    }

    /// <summary>Writes out what is pending: deletes first, since they make room for values that are unique, then updates, then inserts.</summary>
    public void Flush(List<ApplyRun> runs)
    {
        _rekeys = null;
        _keyFormats = null;
        if (_pending.Count == 0)
            return;
        ApplyRun? deletes = null, inserts = null;
        var updates = new Dictionary<string, ApplyRun>();
        foreach (ref readonly var pending in CollectionsMarshal.AsSpan(_pending))
        {
            if (pending.Effect is Effect.Delete or Effect.Replace)
                (deletes ??= NewRun(RunKind.Delete)).Rows.Add(pending.Row with { New = default });
            if (pending.Effect is Effect.Insert or Effect.Replace)
                (inserts ??= NewRun(RunKind.Insert)).Rows.Add(pending.Row with { Key = default });
            if (pending.Effect != Effect.Update || ApplyStatements.WrittenColumns(table, pending.Row.New, RunKind.Update) is not { } columns)
                continue;
            if (!updates.TryGetValue(columns, out var run))
                updates.Add(columns, run = NewRun(RunKind.Update, columns));
            run.Rows.Add(pending.Row);
        }

        if (deletes is not null)
            runs.Add(deletes);
        runs.AddRange(updates.Values);
        if (inserts is not null)
            runs.Add(inserts);
        _pending.Clear();
        _placeOfKey.Clear();
    }

    // Updates that change keys share a statement while none of them touches a key of another.
    void AddRekey(RowKey oldKey, LocatedChange located, List<ApplyRun> runs, HashSet<ulong> keyHashes)
    {
        // The new row lacks a large key value that did not change; the old one has it.
        var newHash = RowKey.Of(table, RowMerge.Over(located.Change.New, located.Change.Old)).Hash;
        keyHashes.Add(newHash);
        var columns = ApplyStatements.WrittenColumns(table, located.Change.New, RunKind.UpdateKey)!;
        var open = _rekeys;
        Flush(runs);
        if (open is null || open.Shape.Columns != columns || _rekeyed.Contains(oldKey.Hash) || _rekeyed.Contains(newHash))
        {
            runs.Add(open = NewRun(RunKind.UpdateKey, columns));
            _rekeyed.Clear();
        }

        open.Rows.Add(new ApplyRow(located.Change.New, located.Change.Old, located));
        _rekeyed.Add(oldKey.Hash);
        _rekeyed.Add(newHash);
        _rekeys = open;
        _keyFormats = oldKey.Formats;
    }

    static bool TryMerge(ref Pending earlier, LocatedChange later)
    {
        var row = earlier.Row;
        (Effect Effect, RowImage New)? merged = (earlier.Effect, later.Change.Kind) switch
        {
            (Effect.Insert or Effect.Replace or Effect.Update, ChangeKind.Update) => (earlier.Effect, RowMerge.Over(later.Change.New, row.New)),
            (Effect.Insert, ChangeKind.Delete) => (Effect.Nothing, default),
            (Effect.Update or Effect.Replace, ChangeKind.Delete) => (Effect.Delete, default),
            (Effect.Nothing, ChangeKind.Insert) => (Effect.Insert, later.Change.New),
            (Effect.Delete, ChangeKind.Insert) => (Effect.Replace, later.Change.New),
            _ => null,
        };
        if (merged is not { } joined)
            return false;
        earlier = new Pending(joined.Effect, row with { New = joined.New, Located = later });
        return true;
    }

    static Effect EffectOf(ChangeKind kind) => kind switch
    {
        ChangeKind.Insert => Effect.Insert,
        ChangeKind.Delete => Effect.Delete,
        _ => Effect.Update,
    };

    ApplyRun NewRun(RunKind kind, string columns = "") => new(new RunShape(table, kind, columns));

    readonly record struct Pending(Effect Effect, ApplyRow Row);
}
