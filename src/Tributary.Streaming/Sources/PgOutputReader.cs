using System.Buffers.Binary;
using System.Text;

namespace Tributary.Streaming.Sources;

/// <summary>Reads the fields of one message; every length is checked before a slice is taken.</summary>
internal ref struct PgOutputReader(ReadOnlySpan<byte> message)
{
    // A name has at most 63 bytes unless the server was built otherwise; the bound keeps a broken message from making large strings.
    const int NameBytesMax = 1024;

    static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    readonly ReadOnlySpan<byte> _message = message;
    int _offset;

    public readonly int Remaining => _message.Length - _offset;

    public byte Byte() => Take(1)[0];

    public short Int16() => BinaryPrimitives.ReadInt16BigEndian(Take(2));

    public int Int32() => BinaryPrimitives.ReadInt32BigEndian(Take(4));

    public uint UInt32() => BinaryPrimitives.ReadUInt32BigEndian(Take(4));

    public ulong UInt64() => BinaryPrimitives.ReadUInt64BigEndian(Take(8));

    public ReadOnlySpan<byte> Take(int length)
    {
        if (length < 0 || length > Remaining)
            throw new PgOutputFormatException($"a field of {length} bytes at offset {_offset} exceeds the message of {_message.Length} bytes");
        var taken = _message.Slice(_offset, length);
        _offset += length;
        return taken;
    }

    /// <summary>A text that ends with a zero byte.</summary>
    public string Name()
    {
        var length = _message[_offset..].IndexOf((byte)0);
        if (length is < 0 or > NameBytesMax)
            throw new PgOutputFormatException($"a name at offset {_offset} does not end");
        var bytes = Take(length);
        _offset++;
        try
        {
            return StrictUtf8.GetString(bytes);
        }
        catch (DecoderFallbackException)
        {
            throw new PgOutputFormatException($"a name before offset {_offset} is not UTF-8");
        }
    }

    /// <summary>The bytes of a row image, checked column by column against the number that the table has.</summary>
    public ReadOnlySpan<byte> Tuple(int columns)
    {
        var start = _offset;
        var count = Int16();
        if (count != columns)
            throw new PgOutputFormatException($"a row has {count} columns where its table has {columns}");
        for (var i = 0; i < count; i++)
        {
            switch (Byte())
            {
                case (byte)'n' or (byte)'u':
                    break;
                case (byte)'t' or (byte)'b':
                    Take(Int32());
                    break;
                default:
                    throw new PgOutputFormatException($"column {i} has an unknown kind of value");
            }
        }

        return _message[start.._offset];
    }

    public readonly void RequireEnd()
    {
        if (Remaining != 0)
            throw new PgOutputFormatException($"{Remaining} bytes are left behind the last field");
    }
}
