using System.Globalization;

namespace Tributary.Load.Scale;

/// <summary>How much data the mains have.</summary>
/// <param name="Gigabytes">In ascending order; the first is what the others are compared with.</param>
/// <param name="LeftOut">Sizes that would be measured if there were space.</param>
sealed record ScaleOptions(IReadOnlyList<int> Gigabytes, IReadOnlyList<int> LeftOut)
{
    public const string Usage = "[--sizes GB,GB,…], at least two";

    static readonly int[] Wanted = [1, 10, 40];

    /// <summary>The data, and what its index is sorted in while it is made.</summary>
    public const double DiskShare = 1.15;

    // The machine's other work needs its disk too.
    const long SpareBytes = 8L << 30;

    /// <summary>The sizes that tell most, as far as the disk has room for all of them at once.</summary>
    public static ScaleOptions ForDisk(long freeBytes)
    {
        var fitting = Wanted.TakeWhile((_, index) => (Wanted.Take(index + 1).Sum() * DiskShare * (1L << 30)) + SpareBytes <= freeBytes).ToList();
        return new ScaleOptions(fitting, [.. Wanted.Except(fitting)]);
    }

    /// <summary>Null: the words are not what may stand there.</summary>
    public static ScaleOptions? Parse(IReadOnlyList<string> words)
    {
        if (words is not ["--sizes", var list])
            return null;
        var sizes = list.Split(',').Select(static text => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var size) ? size : 0).Order().ToList();
        return sizes.Count > 1 && sizes[0] > 0 ? new ScaleOptions(sizes, []) : null;
    }
}
