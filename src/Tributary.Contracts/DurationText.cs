using System.Globalization;

namespace Tributary.Contracts;

/// <summary>Durations as people write them: a whole number with ms, s, m, h or d, for example <c>8h</c>.</summary>
public static class DurationText
{
    public static bool TryParse(string text, out TimeSpan duration)
    {
        duration = default;
        var digits = text.TakeWhile(c => char.IsAsciiDigit(c)).Count();
        long? milliseconds = text[digits..] switch { "ms" => 1, "s" => 1000, "m" => 60_000, "h" => 3_600_000, "d" => 86_400_000, _ => null };
        // A duration of more than ten digits is centuries: refused before it overflows.
        if (milliseconds is not { } unit || digits > 10 || !long.TryParse(text[..digits], NumberStyles.None, CultureInfo.InvariantCulture, out var number))
            return false;
        duration = TimeSpan.FromMilliseconds(number * unit);
        return true;
    }
}
