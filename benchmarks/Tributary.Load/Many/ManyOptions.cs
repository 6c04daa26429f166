using System.Globalization;

namespace Tributary.Load.Many;

/// <summary>How many branches there are.</summary>
/// <param name="Branches">In all.</param>
/// <param name="Running">Of them, those that somebody is in.</param>
sealed record ManyOptions(int Branches, int Running)
{
    public static ManyOptions Default { get; } = new(1000, 100);

    public const string Usage = "[--branches N] [--running M], with M at most N";

    /// <summary>Null: a word is not an option, or its value no number that serves.</summary>
    public static ManyOptions? Parse(IReadOnlyList<string> words)
    {
        var options = Default;
        for (var i = 0; i < words.Count; i += 2)
        {
            if (i + 1 == words.Count || !int.TryParse(words[i + 1], NumberStyles.None, CultureInfo.InvariantCulture, out var value) || value == 0)
                return null;
            switch (words[i])
            {
                case "--branches":
                    options = options with { Branches = value };
                    break;
                case "--running":
                    options = options with { Running = value };
                    break;
                default:
                    return null;
            }
        }

        return options.Running <= options.Branches ? options : null;
    }
}
