using System.Globalization;

namespace Tributary.Load.Kill;

/// <summary>How a run of the kill benchmark goes.</summary>
/// <param name="Seed">Of every random choice but the timing of the operating system; printed, so that a run can be repeated.</param>
/// <param name="CompareEvery">The iterations after which both sides are compared row by row.</param>
/// <param name="Pause">How long the target's session is stopped at the end, in seconds; 0 leaves it out. Beyond 60 it outlasts the source's default timeout.</param>
sealed record KillOptions(int Iterations, int Seed, int CompareEvery, int Pause)
{
    public static KillOptions Default { get; } = new(100, Environment.TickCount & 0xFFFFFF, 10, 0);

    public const string Usage = "[--iterations N] [--seed S] [--compare-every K] [--pause SECONDS]";

    /// <summary>Null: a word is not an option, or its value no number.</summary>
    public static KillOptions? Parse(IReadOnlyList<string> words)
    {
        var options = Default;
        for (var i = 0; i < words.Count; i += 2)
        {
            if (i + 1 == words.Count || !int.TryParse(words[i + 1], NumberStyles.None, CultureInfo.InvariantCulture, out var value))
                return null;
            switch (words[i])
            {
                case "--iterations" when value > 0:
                    options = options with { Iterations = value };
                    break;
                case "--seed":
                    options = options with { Seed = value };
                    break;
                case "--compare-every" when value > 0:
                    options = options with { CompareEvery = value };
                    break;
                case "--pause":
                    options = options with { Pause = value };
                    break;
                default:
                    return null;
            }
        }

        return options;
    }
}
