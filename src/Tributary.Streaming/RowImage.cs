using System.Buffers.Binary;

namespace Tributary.Streaming;

public enum ValueKind
{
    Null,

    /// <summary>A large value that the update did not touch, which the source therefore did not send. It is unknown, not null.</summary>
    Unchanged,
    Text,
    Binary,
}

/// <summary>
/// The columns of one row in the form in which they came from the source, checked once when they were decoded. It points into the memory of its
/// <see cref="Transaction"/> and is valid until that is disposed.
/// Layout: https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html#PROTOCOL-LOGICALREP-MESSAGE-FORMATS-TUPLEDATA
/// </summary>
public readonly struct RowImage
{
    readonly ReadOnlyMemory<byte> _tuple;

    internal RowImage(ReadOnlyMemory<byte> tuple) => _tuple = tuple;

    public bool IsEmpty => _tuple.IsEmpty;

    /// <summary>The image as it came, to be kept elsewhere.</summary>
    internal ReadOnlyMemory<byte> Memory => _tuple;

    public Reader Read() => new(_tuple);

    /// <summary>Reads the columns in the order of <see cref="TableSchema.Columns"/>.</summary>
    public struct Reader
    {
        readonly ReadOnlyMemory<byte> _tuple;
        int _offset;
        int _remaining;

        internal Reader(ReadOnlyMemory<byte> tuple)
        {
            _tuple = tuple;
            _offset = 2;
            _remaining = tuple.IsEmpty ? 0 : BinaryPrimitives.ReadInt16BigEndian(tuple.Span);
        }

        public ValueKind Kind { get; private set; }

        /// <summary>UTF-8 text or the type's binary form; empty for null and unchanged values, and for the empty string.</summary>
        public ReadOnlyMemory<byte> Value { get; private set; }

        /// <summary>Moves to the next column; false after the last.</summary>
        public bool Next()
        {
            if (_remaining == 0)
                return false;
            _remaining--;
            var span = _tuple.Span;
            var kind = span[_offset++];
            if (kind is (byte)'n' or (byte)'u')
            {
                Kind = kind == (byte)'n' ? ValueKind.Null : ValueKind.Unchanged;
                Value = default;
                return true;
            }

            Kind = kind == (byte)'t' ? ValueKind.Text : ValueKind.Binary;
            var length = BinaryPrimitives.ReadInt32BigEndian(span[_offset..]);
            Value = _tuple.Slice(_offset + 4, length);
            _offset += 4 + length;
            return true;
        }
    }
}
