using Tributary.Postgres;

namespace Tributary.Streaming.Targets.Postgres.Descriptions;

/// <param name="IsEssential">Without it rows would be wrong or have no place; otherwise its failure is reported and passed.</param>
internal readonly record struct DescribedStep(string Sql, string Subject, bool IsEssential = true);

/// <summary>
/// The statements that give the target's table the columns that a description shows: take away, rename, convert, add. What the target has already,
/// by hand or from the whole of a partition's table, is not done again.
/// </summary>
internal sealed class DescribedSteps(TableShape before, TableSchema described, short[] numbers, SourceTable source, TargetShape target)
{
    readonly Dictionary<string, TargetShapeColumn> _there = target.Columns.ToDictionary(static column => column.Name);

    public List<DescribedStep> Steps { get; } = [];

    /// <summary>What of it the target will not have.</summary>
    public List<(string Subject, string Why)> Reports { get; } = [];

    /// <summary>Why it cannot be done; null when it can.</summary>
    public string? Refusal { get; private set; }

    /// <summary>Fills the lists.</summary>
    public DescribedSteps Plan()
    {
        Drop();
        Rename();
        for (var i = 0; i < numbers.Length; i++)
        {
            var column = described.Columns[i];
            if (!_there.TryGetValue(column.Name, out var there))
                Add(column, source.TypeNames[i], source.Columns.GetValueOrDefault(numbers[i]));
            else if (there.IsGenerated)
                Alter($"ALTER COLUMN {Quoted(column.Name)} DROP EXPRESSION", column.Name);
            else if (before.Columns.FirstOrDefault(old => old.Number == numbers[i]) is { Number: > 0 } old && (old.TypeId, old.TypeModifier) != (column.TypeId, column.TypeModifier))
                Convert(column, there, source.TypeNames[i], source.Columns.GetValueOrDefault(numbers[i]));
        }

        return this;
    }

    void Drop()
    {
        foreach (var old in before.Columns.Where(old => !numbers.Contains(old.Number)))
        {
            if (!_there.TryGetValue(old.Name, out var there) || there.IsGenerated)
                continue;
            // The partitions' descriptions come one by one, and the second would empty the column that the first has filled.
            if (target.IsPartition && described.Columns.Any(column => column.Name == old.Name))
                Refusal = $"column {Quoted(old.Name)} was dropped and another of its name added in a partitioned table";
            _there.Remove(old.Name);
            Alter($"DROP COLUMN {Quoted(old.Name)}", old.Name);
        }
    }

    void Rename()
    {
        var renamed = new List<(string From, string To)>();
        for (var i = 0; i < numbers.Length; i++)
        {
            var old = before.Columns.FirstOrDefault(old => old.Number == numbers[i]);
            if (old.Number != 0 && old.Name != described.Columns[i].Name && _there.ContainsKey(old.Name))
                renamed.Add((old.Name, described.Columns[i].Name));
        }

        var left = renamed.Select(static pair => pair.From).ToHashSet();
        foreach (var (from, to) in renamed)
        {
            if (_there.ContainsKey(to) && !left.Contains(to))
                Refusal = $"column {Quoted(from)} is now {Quoted(to)}, and the target has columns of both names";
        }

        // Names that go round, as when two columns have been swapped, go over a third one.
        var moved = renamed.Select((pair, i) => left.Contains(pair.To) ? (pair, Over: $"tributary_{i}") : (pair, Over: null)).ToList();
        foreach (var ((from, _), over) in moved.Where(static move => move.Over is not null))
            Alter($"RENAME COLUMN {Quoted(from)} TO {Quoted(over!)}", from);
        foreach (var ((from, to), over) in moved)
            Alter($"RENAME COLUMN {Quoted(over ?? from)} TO {Quoted(to)}", to);
        var found = renamed.Select(pair => (pair.To, Column: _there[pair.From])).ToList();
        foreach (var from in left)
            _there.Remove(from);
        foreach (var (to, column) in found)
            _there[to] = column;
    }

    void Add(ColumnSchema column, string typeName, SourceColumn? now)
    {
        // Dropped or of another type since: what it was is not known any more.
        var certain = now is { IsDropped: false } && now.TypeId == column.TypeId && now.TypeModifier == column.TypeModifier ? now : null;
        var name = Quoted(column.Name);
        var definition = $"ADD COLUMN {name} {typeName}{(certain?.Collation is { } collation ? $" COLLATE {collation}" : "")}";
        var hasMissing = certain is { HasMissing: true, Missing: not null };
        if (hasMissing)
            definition += $" DEFAULT {SqlQuoting.Literal(certain!.Missing!)}::{typeName}";
        var isWhole = hasMissing || target.IsEmpty;
        if (certain is { IsNotNull: true } && isWhole)
            definition += " NOT NULL";
        Alter(definition, column.Name);
        if (hasMissing)
            Alter($"ALTER COLUMN {name} DROP DEFAULT", column.Name);
        if (certain?.Default is { } expression)
            Steps.Add(new DescribedStep($"ALTER TABLE {target.AlteredName} ALTER COLUMN {name} SET DEFAULT {expression}", Subject(column.Name), IsEssential: false));
        if (certain is null)
            Report(column.Name, "the source has changed or dropped the column since, so that its default, its NOT NULL and the values of rows that exist are not known");
        else if (certain.IsIdentity)
            Report(column.Name, $"it is an identity column at the source and a plain one at the target{(target.IsEmpty ? "" : "; the values of rows that exist are not carried")}");
        else if (!isWhole && (certain.Default is not null || certain.IsNotNull))
            Report(column.Name, "the values that the source gave to rows that exist are not in the stream, and are null at the target" + (certain.IsNotNull ? "; so it is not NOT NULL there" : ""));
    }

    void Convert(ColumnSchema column, TargetShapeColumn there, string typeName, SourceColumn? now)
    {
        if (there.TypeName == typeName)
            return;
        var name = Quoted(column.Name);
        if (there.HasDefault)
            Alter($"ALTER COLUMN {name} DROP DEFAULT", column.Name);
        Alter($"ALTER COLUMN {name} TYPE {typeName} USING {name}::{typeName}", column.Name);
        if (now is { IsDropped: false, Default: { } expression } && now.TypeId == column.TypeId)
            Steps.Add(new DescribedStep($"ALTER TABLE {target.AlteredName} ALTER COLUMN {name} SET DEFAULT {expression}", Subject(column.Name), IsEssential: false));
        else if (there.HasDefault)
            Report(column.Name, "its default is not carried to the new type");
        if (!target.IsEmpty)
            Report(column.Name, $"rows that exist were converted to {typeName} by a cast; where the source converted them otherwise (USING), they differ");
    }

    void Alter(string action, string column) => Steps.Add(new DescribedStep($"ALTER TABLE {target.AlteredName} {action}", Subject(column)));

    void Report(string column, string why) => Reports.Add((Subject(column), why));

    string Subject(string column) => $"column {described}.{Quoted(column)}";

    static string Quoted(string name) => SqlQuoting.Identifier(name);
}
