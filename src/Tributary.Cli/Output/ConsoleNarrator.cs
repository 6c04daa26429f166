using Spectre.Console;
using Tributary.Demo;

namespace Tributary.Cli.Output;

/// <summary>
/// Tells the demonstration: on a terminal with rules, frames and a progress line that moves; in a pipe as plain lines, with progress at its end only.
/// </summary>
sealed class ConsoleNarrator(TextWriter output, TimeProvider time) : INarrator
{
    const int BarCells = 30;

    readonly Lock _lock = new();
    readonly bool _live = !Console.IsOutputRedirected;
    readonly Dictionary<string, double> _shown = [];
    readonly IAnsiConsole _console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(output) });
    readonly long _started = time.GetTimestamp();
    bool _lineOpen;

    public void Section(string title) => Write(() =>
    {
        output.WriteLine();
        if (_live)
            _console.Write(new Rule($"[bold]{Markup.Escape(title)}[/]") { Justification = Justify.Left });
        else
            output.WriteLine($"== {title}");
    });

    public void Line(string text) => Write(() => output.WriteLine($"{Elapsed()}  {text}"));

    public void Progress(string label, double fraction)
    {
        lock (_lock)
        {
            // A terminal sees each percent; a pipe sees the end alone.
            var before = _shown.GetValueOrDefault(label, -1);
            if (before >= 1 || (fraction < 1 && (!_live || fraction - before < 0.01)))
                return;
            _shown[label] = fraction;
            if (!_live)
            {
                output.WriteLine($"{Elapsed()}  {label}: done");
                return;
            }

            var filled = (int)(fraction * BarCells);
            output.Write($"\r{Elapsed()}  {label} [{new string('#', filled)}{new string('.', BarCells - filled)}] {fraction,4:P0}\u001b[K");
            _lineOpen = fraction < 1;
            if (!_lineOpen)
                output.WriteLine();
            output.Flush();
        }
    }

    public void Table(string title, IReadOnlyList<string> columns, IReadOnlyList<IReadOnlyList<string>> rows) => Write(() =>
    {
        if (title.Length > 0)
            output.WriteLine($"{Elapsed()}  {title}");
        if (!_live)
        {
            TextTable.Write(output, columns, rows);
            return;
        }

        var table = new Table { Border = TableBorder.Rounded };
        foreach (var column in columns)
            table.AddColumn(new TableColumn(Markup.Escape(column)));
        foreach (var row in rows)
            table.AddRow([.. row.Select(Markup.Escape)]);
        _console.Write(table);
    });

    string Elapsed() => $"[{time.GetElapsedTime(_started):mm\\:ss}]";

    void Write(Action write)
    {
        lock (_lock)
        {
            if (_lineOpen)
                output.WriteLine();
            _lineOpen = false;
            write();
            output.Flush();
        }
    }
}
