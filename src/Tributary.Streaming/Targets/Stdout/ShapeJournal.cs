using System.Text;
using System.Text.Json;
using Tributary.Postgres;

namespace Tributary.Streaming.Targets.Stdout;

/// <summary>
/// The tables as they were described last, in a file of lines beside the checkpoint: a position and a description each. So what is a change, and has
/// a line and a number, is the same after a restart: descriptions behind the saved position are forgotten, and come again with what follows it.
/// </summary>
internal sealed class ShapeJournal(string path)
{
    readonly Dictionary<uint, string> _known = [];
    readonly List<string> _unsaved = [];

    public IReadOnlyList<TableShape> Shapes => [.. _known.Values.Select(static json => Shape(TableDescription.Read(json)))];

    /// <param name="position">What is saved; null when the stream is new.</param>
    public void Open(Lsn? position)
    {
        _known.Clear();
        _unsaved.Clear();
        if (position is { } saved && File.Exists(path))
        {
            foreach (var line in File.ReadLines(path))
            {
                var (lsn, json) = Parse(line);
                if (lsn is { } at && at <= saved)
                    _known[TableDescription.Read(json).RelationId] = json;
            }
        }

        // Anew, so that it has a line for each table, and no end that a crash has torn.
        var text = string.Concat(_known.Values.Select(json => Line(position ?? Lsn.Zero, json)));
        File.WriteAllText(path + ".new", text);
        File.Move(path + ".new", path, overwrite: true);
    }

    /// <summary>Takes a description, and answers the change of the schema that it shows; null where it shows a table for the first time, or as it is known.</summary>
    public SchemaChange? Take(SchemaChange described, Lsn position)
    {
        var table = described.Described();
        var before = _known.GetValueOrDefault(table.RelationId);
        // What identifies a row may differ; it is in the lines of the rows.
        if (before is not null && Shape(TableDescription.Read(before)).IsShownBy(table))
            return null;
        _known[table.RelationId] = described.Json;
        _unsaved.Add(Line(position, described.Json));
        return before is null ? null : new SchemaChange(described.Tag, $$"""{"before":{{before}},"after":{{described.Json}}}""");
    }

    /// <summary>To be called before a position is saved; answers what was taken since the last call.</summary>
    public bool Save()
    {
        if (_unsaved.Count == 0)
            return false;
        using (var file = new FileStream(path, FileMode.Append, FileAccess.Write))
        {
            file.Write(Encoding.UTF8.GetBytes(string.Concat(_unsaved)));
            file.Flush(flushToDisk: true);
        }

        _unsaved.Clear();
        return true;
    }

    // A description has no line break: a name's are escaped.
    static string Line(Lsn position, string json) => $"{position} {json}\n";

    static (Lsn? Position, string Json) Parse(string line)
    {
        var parts = line.Split(' ', 2);
        try
        {
            using (JsonDocument.Parse(parts[^1]))
                return (Lsn.Parse(parts[0]), parts[^1]);
        }
        catch (Exception exception) when (exception is JsonException or FormatException)
        {
            return (null, ""); // The last line, which a crash has torn.
        }
    }

    // Lines have no columns with numbers of their own; nothing compares them.
    static TableShape Shape(TableSchema table) => new(
        table.RelationId, table.Schema, table.Name, [.. table.Columns.Select(static column => new ShapeColumn(0, column.Name, column.TypeId, column.TypeModifier))]);
}
