using System.Buffers.Binary;

namespace Tributary.Streaming.Targets.Postgres;

/// <summary>Joins two images of one row where the later one lacks large values that its update did not touch.</summary>
internal static class RowMerge
{
    public static bool LacksValues(RowImage row)
    {
        var reader = row.Read();
        while (reader.Next())
        {
            if (reader.Kind == ValueKind.Unchanged)
                return true;
        }

        return false;
    }

    /// <summary>The later image, with values of the earlier one where it has none. A value that neither has stays unknown.</summary>
    public static RowImage Over(RowImage later, RowImage earlier)
    {
        if (!LacksValues(later))
            return later;
        var columns = new MemoryStream();
        Span<byte> head = stackalloc byte[1 + sizeof(int)];
        BinaryPrimitives.WriteInt16BigEndian(head, 0);
        columns.Write(head[..sizeof(short)]);
        short count = 0;
        var (mine, theirs) = (later.Read(), earlier.Read());
        while (mine.Next() && theirs.Next())
        {
            count++;
            var (kind, value) = mine.Kind == ValueKind.Unchanged ? (theirs.Kind, theirs.Value) : (mine.Kind, mine.Value);
            head[0] = kind switch { ValueKind.Null => (byte)'n', ValueKind.Unchanged => (byte)'u', ValueKind.Text => (byte)'t', _ => (byte)'b' };
            BinaryPrimitives.WriteInt32BigEndian(head[1..], value.Length);
            columns.Write(kind is ValueKind.Null or ValueKind.Unchanged ? head[..1] : head);
            columns.Write(value.Span);
        }

        var tuple = columns.ToArray();
        BinaryPrimitives.WriteInt16BigEndian(tuple, count);
        return new RowImage(tuple);
    }
}
