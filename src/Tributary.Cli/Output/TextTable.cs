namespace Tributary.Cli.Output;

/// <summary>Columns for people and for awk: two spaces between, no frame, no colour.</summary>
static class TextTable
{
    public static void Write(TextWriter output, IReadOnlyList<string> heads, IEnumerable<IReadOnlyList<string>> rows)
    {
        IReadOnlyList<string>[] all = [heads, .. rows];
        var widths = Enumerable.Range(0, heads.Count).Select(column => all.Max(row => row[column].Length)).ToArray();
        foreach (var row in all)
            output.WriteLine(string.Join("  ", row.Select((cell, column) => cell.PadRight(widths[column]))).TrimEnd());
    }

    /// <summary>Names and values, a line each.</summary>
    public static void Write(TextWriter output, params ReadOnlySpan<(string Name, string? Value)> facts)
    {
        var width = 0;
        foreach (var (name, _) in facts)
            width = Math.Max(width, name.Length);
        foreach (var (name, value) in facts)
        {
            if (value is not null)
                output.WriteLine($"{name.PadRight(width)}  {value}");
        }
    }
}
