using System.Buffers;
using System.Diagnostics;
using Npgsql;

namespace Tributary.Streaming.Targets.Postgres;

/// <summary>
/// Writes consecutive inserts of one table by COPY in its text form.
/// Source: https://www.postgresql.org/docs/current/sql-copy.html, "Text Format".
/// </summary>
internal sealed class CopyText
{
    const int BufferBytes = 64 * 1024;

    static readonly SearchValues<byte> Special = SearchValues.Create("\\\n\r\t"u8);

    readonly ArrayBufferWriter<byte> _buffer = new(2 * BufferBytes);

    public async Task WriteAsync(
        NpgsqlConnection connection, TargetTable table, IReadOnlyList<Change> changes, int first, int end, CancellationToken cancellationToken)
    {
        var columns = string.Join(", ", table.Columns.Where(static column => !column.IsGenerated).Select(static column => column.Name));
        var writer = await connection.BeginTextImportAsync($"COPY {table.Name} ({columns}) FROM STDIN (FORMAT text)", cancellationToken);
        // The driver's writer would encode text; the rows are encoded already.
        var copy = (NpgsqlRawCopyStream)((StreamWriter)writer).BaseStream;
        var whole = false;
        try
        {
            _buffer.ResetWrittenCount();
            for (var i = first; i < end; i++)
            {
                AddRow(table, changes[i].New);
                if (_buffer.WrittenCount < BufferBytes)
                    continue;
                await copy.WriteAsync(_buffer.WrittenMemory, cancellationToken);
                _buffer.ResetWrittenCount();
            }

            await copy.WriteAsync(_buffer.WrittenMemory, cancellationToken);
            whole = true;
        }
        finally
        {
            // Disposing an unfinished COPY would complete it.
            if (!whole)
                await copy.CancelAsync();
            else
                await writer.DisposeAsync();
        }
    }

    void AddRow(TargetTable table, RowImage row)
    {
        var reader = row.Read();
        var isFirst = true;
        for (var i = 0; reader.Next(); i++)
        {
            if (table.Columns[i].IsGenerated)
                continue;
            if (!isFirst)
                _buffer.Write("\t"u8);
            isFirst = false;
            switch (reader.Kind)
            {
                case ValueKind.Text:
                    AddValue(reader.Value.Span);
                    break;
                case ValueKind.Null:
                    _buffer.Write("\\N"u8);
                    break;
                default:
                    throw new UnreachableException($"An insert of a row in text form has a value of kind {reader.Kind}.");
            }
        }

        _buffer.Write("\n"u8);
    }

    void AddValue(ReadOnlySpan<byte> value)
    {
        while (value.IndexOfAny(Special) is var special and >= 0)
        {
            _buffer.Write(value[..special]);
            _buffer.Write(value[special] switch
            {
                (byte)'\n' => "\\n"u8,
                (byte)'\r' => "\\r"u8,
                (byte)'\t' => "\\t"u8,
                _ => "\\\\"u8,
            });
            value = value[(special + 1)..];
        }

        _buffer.Write(value);
    }
}
