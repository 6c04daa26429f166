namespace Tributary.Cli.Output;

/// <summary>
/// Text on a terminal that replaces what it showed before. ECMA-48: CUU moves up, EL clears the rest of a line, ED what is below;
/// the whole is written at once, so that nothing flickers.
/// </summary>
sealed class LiveText(TextWriter terminal) : IDisposable
{
    int _lines;

    public void Show(Action<TextWriter> write)
    {
        using var text = new StringWriter { NewLine = "\n" };
        write(text);
        var lines = text.ToString().TrimEnd('\n').Split('\n');
        // A line that is wider than the terminal would wrap, and the way back up would fall short.
        var width = Console.WindowWidth is > 0 and var columns ? columns : int.MaxValue;
        var up = _lines > 0 ? $"\e[{_lines}A" : "";
        terminal.Write($"{up}{string.Concat(lines.Select(line => $"\r{(line.Length < width ? line : line[..(width - 1)])}\e[K\n"))}\e[J");
        _lines = lines.Length;
    }

    /// <summary>What was shown last stays.</summary>
    public void Dispose() => terminal.Flush();
}
