namespace Tributary.Branching;

/// <summary>Names that a user may have meant.</summary>
internal static class NearNames
{
    const int SuggestionsMax = 3;

    /// <summary>Completes a message about an unknown branch, for example <c> Did you mean agent-41, agent-43?</c>; empty when nothing is near.</summary>
    public static string Suggest(string wanted, IEnumerable<string> known)
    {
        // A third of the letters wrong is still a slip; more is another name.
        var distanceMax = Math.Max(1, wanted.Length / 3);
        var near = known
            .Select(name => (Name: name, Distance: Distance(wanted, name)))
            .Where(candidate => candidate.Distance <= distanceMax || candidate.Name.StartsWith(wanted, StringComparison.Ordinal))
            .OrderBy(candidate => candidate.Distance)
            .ThenBy(candidate => candidate.Name, StringComparer.Ordinal)
            .Take(SuggestionsMax)
            .Select(candidate => candidate.Name)
            .ToList();
        return near.Count == 0 ? "" : $" Did you mean {string.Join(", ", near)}?";
    }

    // Levenshtein distance over two rows.
    static int Distance(string left, string right)
    {
        var previous = Enumerable.Range(0, right.Length + 1).ToArray();
        var current = new int[right.Length + 1];
        for (var i = 1; i <= left.Length; i++)
        {
            current[0] = i;
            for (var j = 1; j <= right.Length; j++)
                current[j] = Math.Min(Math.Min(current[j - 1], previous[j]) + 1, previous[j - 1] + (left[i - 1] == right[j - 1] ? 0 : 1));
            (previous, current) = (current, previous);
        }

        return previous[right.Length];
    }
}
