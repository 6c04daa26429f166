using System.Buffers;
using System.Buffers.Binary;

namespace Tributary.Streaming.Targets.Postgres;

/// <summary>
/// One column of several rows, written as a Postgres array in its binary form; its elements are the bytes that came from the source.
/// Format: array_recv in src/backend/utils/adt/arrayfuncs.c.
/// </summary>
internal sealed class ColumnBuffer : IDisposable
{
    // Dimensions, whether there are nulls, the type of the elements, their number, the first index.
    const int HeadBytes = 5 * sizeof(int);
    const int FirstBytes = 1024;

    byte[] _bytes = ArrayPool<byte>.Shared.Rent(FirstBytes);
    int _length = HeadBytes;
    int _rows;
    bool _hasNull;

    /// <summary>Whether values are text or binary; null while all are null.</summary>
    public ValueKind? Kind { get; private set; }

    public int Length => _length;

    /// <summary>Whether the value may stand beside those that are there: an array has one type.</summary>
    public bool Takes(ValueKind kind) => kind is ValueKind.Null or ValueKind.Unchanged || Kind is null || Kind == kind;

    public void Add(ValueKind kind, ReadOnlySpan<byte> value)
    {
        _rows++;
        if (kind is ValueKind.Null or ValueKind.Unchanged)
        {
            _hasNull = true;
            BinaryPrimitives.WriteInt32BigEndian(Grow(sizeof(int)), -1);
            return;
        }

        Kind = kind;
        var place = Grow(sizeof(int) + value.Length);
        BinaryPrimitives.WriteInt32BigEndian(place, value.Length);
        value.CopyTo(place[sizeof(int)..]);
    }

    /// <summary>The whole array. It is valid until the buffer is disposed.</summary>
    public WireValue ToArray(uint elementTypeId)
    {
        var head = _bytes.AsSpan(0, HeadBytes);
        BinaryPrimitives.WriteInt32BigEndian(head, 1);
        BinaryPrimitives.WriteInt32BigEndian(head[4..], _hasNull ? 1 : 0);
        BinaryPrimitives.WriteUInt32BigEndian(head[8..], elementTypeId);
        BinaryPrimitives.WriteInt32BigEndian(head[12..], _rows);
        BinaryPrimitives.WriteInt32BigEndian(head[16..], 1);
        return new WireValue(_bytes.AsMemory(0, _length), IsNull: false);
    }

    /// <summary>The only value, bare.</summary>
    public WireValue ToSingle() => _hasNull ? WireValue.Null : new WireValue(_bytes.AsMemory(HeadBytes + sizeof(int), _length - HeadBytes - sizeof(int)), IsNull: false);

    public void Dispose()
    {
        ArrayPool<byte>.Shared.Return(_bytes);
        _bytes = [];
    }

    Span<byte> Grow(int bytes)
    {
        var length = checked(_length + bytes);
        if (length > _bytes.Length)
        {
            var larger = ArrayPool<byte>.Shared.Rent((int)Math.Min(Array.MaxLength, Math.Max(length, 2L * _bytes.Length)));
            _bytes.AsSpan(0, _length).CopyTo(larger);
            ArrayPool<byte>.Shared.Return(_bytes);
            _bytes = larger;
        }

        var place = _bytes.AsSpan(_length, bytes);
        _length = length;
        return place;
    }
}
