namespace Tributary.Streaming.Targets.Postgres.Descriptions;

/// <summary>
/// Finds the numbers of the columns that a description shows. It lists them in the order of their numbers without the numbers themselves, as the
/// table was then; the source's catalog has the numbers as the table is now. What connects the two:
/// 1. A column that is there now and was known before has been there in between.
/// 2. A new column has a higher number than all before it. One that is there now has been there ever since a later one was added.
/// 3. A number is never given twice.
/// Often that leaves one possibility. Where it leaves several, the one counts in which each column has the name and the type that it had before or has now.
/// </summary>
internal static class ColumnNumbers
{
    /// <summary>The numbers, in the order of the description; null when there is no possibility, or more than one.</summary>
    /// <param name="wasDropped">Whether it is known that the column was dropped before the description.</param>
    public static short[]? Find(TableShape before, TableSchema described, SourceTable source, Func<short, bool> wasDropped)
    {
        var candidates = Candidates(before, described, source, wasDropped);
        var strict = new Assignment(candidates, described, mustFit: true);
        if (strict.Ways > 0)
            return strict.Ways == 1 ? strict.Numbers() : null;
        var any = new Assignment(candidates, described, mustFit: false);
        return any.Ways == 1 ? any.Numbers() : null;
    }

    static List<Candidate> Candidates(TableShape before, TableSchema described, SourceTable source, Func<short, bool> wasDropped)
    {
        var known = before.Columns.ToDictionary(static column => column.Number);
        var last = known.Keys.DefaultIfEmpty((short)0).Max();
        var numbers = known.Keys.Concat(source.Columns.Keys).ToHashSet();
        // Of a table that is gone nothing is known now, so that there may have been any number of new columns.
        if (source.Columns.Count == 0)
            numbers.UnionWith(Enumerable.Range(last + 1, described.Columns.Length).Select(static number => (short)number));
        var candidates = new List<Candidate>();
        foreach (var number in numbers.Order())
        {
            var now = source.Columns.TryGetValue(number, out var found) && !found.IsDropped ? found : null;
            ShapeColumn? then = known.TryGetValue(number, out var column) ? column : null;
            // A generated column is not described. One that was, and is not any longer, has a lower number than others that were known.
            if (now is { IsGenerated: true } || (then is null && now is null && number < last) || (now is null && wasDropped(number)))
                continue;
            candidates.Add(new Candidate(number, then, now, MustBe: then is not null && now is not null, EndsWithout: then is null && now is not null && number > last));
        }

        return candidates;
    }

    /// <param name="Then">As it was known before; null for a new column.</param>
    /// <param name="Now">As it is now; null for one that is dropped.</param>
    /// <param name="EndsWithout">Where it is missing, no column of a higher number can be there.</param>
    readonly record struct Candidate(short Number, ShapeColumn? Then, SourceColumn? Now, bool MustBe, bool EndsWithout)
    {
        public bool Fits(ColumnSchema column) =>
            (Then?.Name == column.Name || Now?.Name == column.Name) &&
            ((Then is { } then && then.TypeId == column.TypeId && then.TypeModifier == column.TypeModifier) ||
                (Now is { } now && now.TypeId == column.TypeId && now.TypeModifier == column.TypeModifier));
    }

    /// <summary>Counts, from the last candidate to the first, in how many ways the rest of the description fits the rest of the candidates; two stands for more.</summary>
    sealed class Assignment
    {
        readonly List<Candidate> _candidates;
        readonly TableSchema _described;
        readonly bool _mustFit;
        readonly byte[,] _ways;

        public Assignment(List<Candidate> candidates, TableSchema described, bool mustFit)
        {
            (_candidates, _described, _mustFit) = (candidates, described, mustFit);
            var columns = described.Columns.Length;
            _ways = new byte[candidates.Count + 1, columns + 1];
            _ways[candidates.Count, columns] = 1;
            for (var i = candidates.Count - 1; i >= 0; i--)
            {
                for (var j = columns; j >= 0; j--)
                    _ways[i, j] = (byte)Math.Min(2, Taken(i, j) + Left(i, j));
            }
        }

        public int Ways => _ways[0, 0];

        public short[] Numbers()
        {
            var numbers = new List<short>();
            for (var i = 0; numbers.Count < _described.Columns.Length; i++)
            {
                if (Taken(i, numbers.Count) > 0)
                    numbers.Add(_candidates[i].Number);
            }

            return [.. numbers];
        }

        int Taken(int i, int j) =>
            j < _described.Columns.Length && (!_mustFit || _candidates[i].Fits(_described.Columns[j])) ? _ways[i + 1, j + 1] : 0;

        int Left(int i, int j)
        {
            if (_candidates[i].MustBe)
                return 0;
            // The rest of the candidates is left too, which works out only where the description ends here.
            return _candidates[i].EndsWithout ? (j == _described.Columns.Length ? 1 : 0) : _ways[i + 1, j];
        }
    }
}
