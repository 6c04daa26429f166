using System.Buffers.Binary;
using System.Text;

namespace Tributary.Streaming.Sources.Spooling;

/// <summary>
/// The form of one change in a block: kind (1), kind of the old row or flags of a truncation (1), subtransaction (4), table (4), two lengths (4 each),
/// and the two parts. The parts are the new and the old row; for a truncation its tables; for a change of the schema its tag and its description.
/// Tables are numbers into the transaction's own list, since the versions themselves live as long as it.
/// </summary>
internal static class SpoolRecord
{
    const int HeaderBytes = 18;

    /// <param name="change">Its row images are taken from <paramref name="newRow"/> and <paramref name="oldRow"/>.</param>
    public static int BytesOf(in Change change, ReadOnlySpan<byte> newRow, ReadOnlySpan<byte> oldRow) => HeaderBytes + change.Kind switch
    {
        ChangeKind.Truncate => 4 * change.Truncation!.Tables.Count,
        ChangeKind.Schema => Encoding.UTF8.GetByteCount(change.Schema!.Tag) + Encoding.UTF8.GetByteCount(change.Schema.Json),
        _ => newRow.Length + oldRow.Length,
    };

    public static void Write(
        in Change change, ReadOnlySpan<byte> newRow, ReadOnlySpan<byte> oldRow, uint subXid, SpoolTables tables, Span<byte> record)
    {
        var body = record[HeaderBytes..];
        var (flags, first, second) = ((byte)change.OldKind, 0, 0);
        switch (change.Kind)
        {
            case ChangeKind.Truncate:
                var truncation = change.Truncation!;
                flags = (byte)((truncation.Cascade ? 1 : 0) | (truncation.RestartIdentity ? 2 : 0));
                foreach (var table in truncation.Tables)
                {
                    BinaryPrimitives.WriteInt32LittleEndian(body[first..], tables.NumberOf(table));
                    first += 4;
                }

                break;
            case ChangeKind.Schema:
                first = Encoding.UTF8.GetBytes(change.Schema!.Tag, body);
                second = Encoding.UTF8.GetBytes(change.Schema.Json, body[first..]);
                break;
            default:
                newRow.CopyTo(body);
                first = newRow.Length;
                oldRow.CopyTo(body[first..]);
                second = oldRow.Length;
                break;
        }

        record[0] = (byte)change.Kind;
        record[1] = flags;
        BinaryPrimitives.WriteUInt32LittleEndian(record[2..], subXid);
        BinaryPrimitives.WriteInt32LittleEndian(record[6..], change.Kind is ChangeKind.Schema ? -1 : tables.NumberOf(change.Table));
        BinaryPrimitives.WriteInt32LittleEndian(record[10..], first);
        BinaryPrimitives.WriteInt32LittleEndian(record[14..], second);
    }

    /// <summary>Reads the record at the front and moves behind it; the row images point into the block.</summary>
    public static (Change Change, uint SubXid) Read(ref ReadOnlyMemory<byte> rest, SpoolTables tables)
    {
        var header = rest.Span;
        var kind = (ChangeKind)header[0];
        var flags = header[1];
        var subXid = BinaryPrimitives.ReadUInt32LittleEndian(header[2..]);
        var number = BinaryPrimitives.ReadInt32LittleEndian(header[6..]);
        var first = rest.Slice(HeaderBytes, BinaryPrimitives.ReadInt32LittleEndian(header[10..]));
        var second = rest.Slice(HeaderBytes + first.Length, BinaryPrimitives.ReadInt32LittleEndian(header[14..]));
        rest = rest[(HeaderBytes + first.Length + second.Length)..];
        switch (kind)
        {
            case ChangeKind.Truncate:
                var emptied = new TableSchema[first.Length / 4];
                for (var i = 0; i < emptied.Length; i++)
                    emptied[i] = tables[BinaryPrimitives.ReadInt32LittleEndian(first.Span[(4 * i)..])];
                return (new Change(kind, emptied[0], default, default, OldRowKind.None, new TableTruncation(emptied, (flags & 1) != 0, (flags & 2) != 0)), subXid);
            case ChangeKind.Schema:
                var schema = new SchemaChange(Encoding.UTF8.GetString(first.Span), Encoding.UTF8.GetString(second.Span));
                return (new Change(kind, null!, default, default, OldRowKind.None, null, schema), subXid);
            default:
                return (new Change(kind, tables[number], new RowImage(first), new RowImage(second), (OldRowKind)flags), subXid);
        }
    }
}

/// <summary>The versions of tables that one transaction has met, by number.</summary>
internal sealed class SpoolTables
{
    readonly Dictionary<TableSchema, int> _numbers = new(ReferenceEqualityComparer.Instance);
    readonly List<TableSchema> _tables = [];

    public TableSchema this[int number]
    {
        get
        {
            // The reader may be another thread than the one that adds.
            lock (_tables)
                return _tables[number];
        }
    }

    public int NumberOf(TableSchema table)
    {
        if (_numbers.TryGetValue(table, out var number))
            return number;
        lock (_tables)
            _tables.Add(table);
        _numbers.Add(table, _tables.Count - 1);
        return _tables.Count - 1;
    }
}
