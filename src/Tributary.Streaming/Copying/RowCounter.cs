using System.Buffers.Binary;

namespace Tributary.Streaming.Copying;

/// <summary>
/// Counts the rows in the bytes of a COPY as they pass, in pieces of any size.
/// Formats: https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9
/// </summary>
internal sealed class RowCounter(bool isBinary)
{
    // The signature of 11 bytes and the flags.
    const int HeaderBytes = 15;

    Expected _expected = Expected.Extension;
    int _skip = HeaderBytes;
    int _value;
    int _valueBytes;
    int _fields;

    enum Expected
    {
        Extension,
        Row,
        Field,
    }

    public long Rows { get; private set; }

    public void Add(ReadOnlySpan<byte> piece)
    {
        if (!isBinary)
        {
            // A line feed inside of a value is escaped.
            Rows += piece.Count((byte)'\n');
            return;
        }

        while (!piece.IsEmpty)
        {
            if (_skip > 0)
            {
                var skipped = Math.Min(_skip, piece.Length);
                _skip -= skipped;
                piece = piece[skipped..];
            }
            else if (TryReadNumber(ref piece, out var number))
            {
                Take(number);
            }
        }
    }

    bool TryReadNumber(ref ReadOnlySpan<byte> piece, out int number)
    {
        var size = _expected == Expected.Row ? 2 : 4;
        if (_valueBytes == 0 && piece.Length >= size)
        {
            number = size == 2 ? BinaryPrimitives.ReadInt16BigEndian(piece) : BinaryPrimitives.ReadInt32BigEndian(piece);
            piece = piece[size..];
            return true;
        }

        _value = (_value << 8) | piece[0];
        piece = piece[1..];
        number = size == 2 ? (short)_value : _value;
        if (++_valueBytes < size)
            return false;
        (_value, _valueBytes) = (0, 0);
        return true;
    }

    void Take(int number)
    {
        switch (_expected)
        {
            case Expected.Extension:
                _skip = number;
                _expected = Expected.Row;
                break;
            case Expected.Row when number >= 0:
                Rows++;
                _fields = number;
                _expected = number > 0 ? Expected.Field : Expected.Row;
                break;
            case Expected.Row:
                break; // -1 ends the copy.
            default:
                _skip = Math.Max(0, number); // -1 is null.
                if (--_fields == 0)
                    _expected = Expected.Row;
                break;
        }
    }
}
