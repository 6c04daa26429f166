using System.Buffers;
using System.Buffers.Binary;
using Npgsql;

namespace Tributary.Streaming.Targets.Postgres;

/// <summary>
/// Writes a long run of inserts by COPY, which fills a table's pages many rows at a time (heap_multi_insert in src/backend/access/heap/heapam.c).
/// Formats: https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9
/// </summary>
internal static class CopyRun
{
    const int ChunkBytes = 64 * 1024;

    // A signature, flags and the length of an extension, both zero.
    static readonly byte[] BinaryHead = [.. "PGCOPY\n"u8, 0xFF, .. "\r\n"u8, 0, 0, 0, 0, 0, 0, 0, 0, 0];

    static readonly SearchValues<byte> Escaped = SearchValues.Create("\\\n\r\t"u8);

    /// <summary>The form that all values have; null when they are of both, or when the table cannot be copied into.</summary>
    public static ValueKind? Format(ApplyRun run, int[] columns, int rowsMin)
    {
        if (run.Shape.Kind != RunKind.Insert || run.Rows.Count < rowsMin || columns.Length == 0 || !run.Shape.Table.MayCopy)
            return null;
        ValueKind? format = null;
        foreach (var row in run.Rows)
        {
            var reader = row.New.Read();
            while (reader.Next())
            {
                if (reader.Kind is ValueKind.Null or ValueKind.Unchanged)
                    continue;
                format ??= reader.Kind;
                if (format != reader.Kind)
                    return null;
            }
        }

        return format;
    }

    public static async Task WriteAsync(NpgsqlConnection connection, ApplyRun run, int[] columns, ValueKind format, CancellationToken cancellationToken)
    {
        await using var copy = await BeginAsync(connection, ApplyStatements.Copy(run.Shape.Table, columns, format), format, cancellationToken);
        try
        {
            var chunk = new ArrayBufferWriter<byte>(ChunkBytes);
            if (format == ValueKind.Binary)
                chunk.Write(BinaryHead);
            foreach (var row in run.Rows)
            {
                if (format == ValueKind.Binary)
                    AddBinary(chunk, row.New, columns);
                else
                    AddText(chunk, row.New, columns);
                if (chunk.WrittenCount < ChunkBytes)
                    continue;
                await copy.WriteAsync(chunk.WrittenMemory, cancellationToken);
                chunk.ResetWrittenCount();
            }

            if (format == ValueKind.Binary)
                BinaryPrimitives.WriteInt16BigEndian(Advance(chunk, sizeof(short)), -1);
            await copy.WriteAsync(chunk.WrittenMemory, cancellationToken);
        }
        catch
        {
            // Disposing would end the COPY as if the rows were all.
            await copy.CancelAsync();
            throw;
        }
    }

    // Npgsql tells the formats apart, but a text copy is the same stream of bytes inside a writer of characters.
    static async Task<NpgsqlRawCopyStream> BeginAsync(NpgsqlConnection connection, string sql, ValueKind format, CancellationToken cancellationToken) =>
        format == ValueKind.Binary
            ? await connection.BeginRawBinaryCopyAsync(sql, cancellationToken)
            : (NpgsqlRawCopyStream)((StreamWriter)await connection.BeginTextImportAsync(sql, cancellationToken)).BaseStream;

    static void AddBinary(ArrayBufferWriter<byte> chunk, RowImage row, int[] columns)
    {
        BinaryPrimitives.WriteInt16BigEndian(Advance(chunk, sizeof(short)), (short)columns.Length);
        var next = 0;
        var reader = row.Read();
        for (var i = 0; next < columns.Length && reader.Next(); i++)
        {
            if (i != columns[next])
                continue;
            next++;
            var isNull = reader.Kind is ValueKind.Null or ValueKind.Unchanged;
            BinaryPrimitives.WriteInt32BigEndian(Advance(chunk, sizeof(int)), isNull ? -1 : reader.Value.Length);
            chunk.Write(reader.Value.Span);
        }
    }

    static void AddText(ArrayBufferWriter<byte> chunk, RowImage row, int[] columns)
    {
        var next = 0;
        var reader = row.Read();
        for (var i = 0; next < columns.Length && reader.Next(); i++)
        {
            if (i != columns[next])
                continue;
            if (next++ > 0)
                Advance(chunk, 1)[0] = (byte)'\t';
            if (reader.Kind is ValueKind.Null or ValueKind.Unchanged)
                chunk.Write("\\N"u8);
            else
                AddEscaped(chunk, reader.Value.Span);
        }

        Advance(chunk, 1)[0] = (byte)'\n';
    }

    static void AddEscaped(ArrayBufferWriter<byte> chunk, ReadOnlySpan<byte> value)
    {
        int special;
        while ((special = value.IndexOfAny(Escaped)) >= 0)
        {
            chunk.Write(value[..special]);
            var pair = Advance(chunk, 2);
            pair[0] = (byte)'\\';
            pair[1] = value[special] switch { (byte)'\n' => (byte)'n', (byte)'\r' => (byte)'r', (byte)'\t' => (byte)'t', _ => (byte)'\\' };
            value = value[(special + 1)..];
        }

        chunk.Write(value);
    }

    static Span<byte> Advance(ArrayBufferWriter<byte> chunk, int bytes)
    {
        var place = chunk.GetSpan(bytes)[..bytes];
        chunk.Advance(bytes);
        return place;
    }
}
