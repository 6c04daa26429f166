using System.Text;

namespace Tributary.Load;

/// <summary>Draws the outcome of a benchmark for a terminal and for a Markdown page alike.</summary>
static class ReportTable
{
    static readonly string[] Heads = ["", "contestant", "figure", "CPU", "memory"];

    public static string Render(IBenchmark benchmark, BenchmarkOutcome outcome)
    {
        string[][] rows = [Heads, .. outcome.Measurements.Select(Cells)];
        var widths = Enumerable.Range(0, Heads.Length).Select(column => rows.Max(row => row[column].Length)).ToArray();
        var text = new StringBuilder().AppendLine(benchmark.Work).AppendLine(outcome.Remark).AppendLine();
        AppendRow(text, rows[0], widths);
        AppendRow(text, [.. widths.Select(width => new string('-', width))], widths);
        foreach (var row in rows.Skip(1))
            AppendRow(text, row, widths);
        return text.ToString();
    }

    static string[] Cells(Measurement measurement) =>
    [
        measurement.Role switch { Role.Ours => "ours", Role.Ceiling => "ceiling", Role.Peer => "peer", _ => "  of it" },
        measurement.Contestant,
        measurement.Figure,
        measurement.CpuMs is { } cpu ? $"{cpu:0} ms" : "",
        measurement.MemoryBytes is { } bytes ? $"{bytes / 1048576.0:0.0} MB" : "",
    ];

    static void AppendRow(StringBuilder text, string[] cells, int[] widths)
    {
        text.Append('|');
        for (var column = 0; column < cells.Length; column++)
            text.Append(' ').Append(cells[column].PadRight(widths[column])).Append(" |");
        text.AppendLine();
    }
}
