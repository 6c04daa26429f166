using Npgsql;

namespace Tributary.Streaming.Targets.Postgres;

/// <summary>
/// Makes the commands of a run: usually one. A run whose values are too many bytes for one array, or mix text and binary in a column, becomes
/// several, and so does a binary run of a type that has no arrays, such as an array itself: one command a row.
/// Keeps the SQL of each shape, so that the server parses and plans it once.
/// </summary>
internal sealed class ApplyCommands(long commandBytesMax)
{
    // Shapes come from tables, kinds and the columns that large values leave out; a stream that has more forgets and makes them again.
    const int LayoutsMax = 1024;
    const uint TextTypeId = 25;

    readonly Dictionary<RunShape, Layout> _layouts = [];
    readonly List<ColumnBuffer> _buffers = [];

    /// <summary>Gives back the buffers of all commands, which must have been sent.</summary>
    public void Release()
    {
        foreach (var buffer in _buffers)
            buffer.Dispose();
        _buffers.Clear();
    }

    /// <summary>The columns that an insert writes.</summary>
    public int[] Written(RunShape shape) => LayoutOf(shape).Written;

    public IEnumerable<(NpgsqlBatchCommand Command, int FirstRow, int Rows)> Build(ApplyRun run)
    {
        if (run.Shape.Kind == RunKind.Truncate)
        {
            yield return (new NpgsqlBatchCommand(ApplyStatements.Truncate(run)), 0, 1);
            yield break;
        }

        var layout = LayoutOf(run.Shape);
        for (var first = 0; first < run.Rows.Count;)
        {
            var columns = new ColumnBuffer[layout.Written.Length + layout.Found.Length];
            for (var i = 0; i < columns.Length; i++)
                _buffers.Add(columns[i] = new ColumnBuffer());
            var rows = Fill(run, first, layout, columns);
            yield return (Command(run.Shape, layout, columns, rows), first, rows);
            first += rows;
        }
    }

    // Answers the number of rows that were put into the columns, at least one.
    int Fill(ApplyRun run, int first, Layout layout, ColumnBuffer[] columns)
    {
        var bytes = 0L;
        for (var row = first; row < run.Rows.Count; row++)
        {
            var image = run.Rows[row];
            if (row > first && (columns.Length == 0 || bytes >= commandBytesMax || !Takes(run.Shape.Table, image, layout, columns)))
                return row - first;
            bytes += AddRow(image.New, layout.Written, columns.AsSpan(0, layout.Written.Length));
            bytes += AddRow(image.Key, layout.Found, columns.AsSpan(layout.Written.Length));
            if (row == first && NeedsSingle(layout, run.Shape.Table, columns))
                return 1;
        }

        return run.Rows.Count - first;
    }

    static long AddRow(RowImage image, int[] wanted, ReadOnlySpan<ColumnBuffer> columns)
    {
        var next = 0;
        var bytes = 0L;
        var reader = image.Read();
        for (var i = 0; next < wanted.Length && reader.Next(); i++)
        {
            if (i != wanted[next])
                continue;
            columns[next++].Add(reader.Kind, reader.Value.Span);
            bytes += reader.Value.Length;
        }

        return bytes;
    }

    static bool Takes(TargetTable table, ApplyRow row, Layout layout, ColumnBuffer[] columns) =>
        Takes(table, row.New, layout.Written, columns.AsSpan(0, layout.Written.Length)) &&
        Takes(table, row.Key, layout.Found, columns.AsSpan(layout.Written.Length));

    static bool Takes(TargetTable table, RowImage image, int[] wanted, ReadOnlySpan<ColumnBuffer> columns)
    {
        var next = 0;
        var reader = image.Read();
        for (var i = 0; next < wanted.Length && reader.Next(); i++)
        {
            if (i == wanted[next] && (!columns[next++].Takes(reader.Kind) || (reader.Kind == ValueKind.Binary && !table.Columns[i].HasArrayType)))
                return false;
        }

        return true;
    }

    static bool NeedsSingle(Layout layout, TargetTable table, ColumnBuffer[] columns)
    {
        for (var i = 0; i < columns.Length; i++)
        {
            if (columns[i].Kind == ValueKind.Binary && !table.Columns[layout.Column(i)].HasArrayType)
                return true;
        }

        return false;
    }

    static NpgsqlBatchCommand Command(RunShape shape, Layout layout, ColumnBuffer[] columns, int rows)
    {
        var single = rows == 1;
        var formats = string.Create(columns.Length, columns, static (text, buffers) =>
        {
            for (var i = 0; i < text.Length; i++)
                text[i] = buffers[i].Kind == ValueKind.Binary ? 'b' : 't';
        });
        if (!layout.Sql.TryGetValue((formats, single), out var sql))
            layout.Sql.Add((formats, single), sql = new ApplyStatements(shape, layout.Written, layout.Found, formats, single).Sql());
        var command = new NpgsqlBatchCommand(sql);
        for (var i = 0; i < columns.Length; i++)
        {
            var elementTypeId = formats[i] == 't' ? TextTypeId : shape.Table.Columns[layout.Column(i)].TypeId;
            command.Parameters.Add(new NpgsqlParameter<WireValue> { TypedValue = single ? columns[i].ToSingle() : columns[i].ToArray(elementTypeId) });
        }

        return command;
    }

    Layout LayoutOf(RunShape shape)
    {
        if (_layouts.TryGetValue(shape, out var known))
            return known;
        if (_layouts.Count == LayoutsMax)
            _layouts.Clear();
        var layout = new Layout(ApplyStatements.Written(shape), ApplyStatements.Found(shape));
        _layouts.Add(shape, layout);
        return layout;
    }

    sealed record Layout(int[] Written, int[] Found)
    {
        public Dictionary<(string Formats, bool Single), string> Sql { get; } = [];

        public int Column(int parameter) => parameter < Written.Length ? Written[parameter] : Found[parameter - Written.Length];
    }
}
