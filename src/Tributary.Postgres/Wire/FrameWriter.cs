using System.Buffers.Binary;
using System.Text;

namespace Tributary.Postgres.Wire;

/// <summary>
/// Builds protocol messages in memory: each is a type byte, a length that counts itself, and a body.
/// Source: https://www.postgresql.org/docs/current/protocol-message-formats.html
/// </summary>
public sealed class FrameWriter
{
    const int NoFrame = -1;

    byte[] _buffer = new byte[256];
    int _length;
    int _lengthAt = NoFrame;

    /// <summary>The finished messages, one after the other. Valid until the next write.</summary>
    public ReadOnlyMemory<byte> Written => _lengthAt == NoFrame
        ? _buffer.AsMemory(0, _length)
        : throw new InvalidOperationException("A message has been begun and not ended.");

    /// <summary>Forgets what was written and keeps the memory.</summary>
    public FrameWriter Clear()
    {
        _length = 0;
        _lengthAt = NoFrame;
        return this;
    }

    /// <summary>Begins a message with a type byte.</summary>
    public FrameWriter Begin(byte type)
    {
        AddByte(type);
        return BeginUntyped();
    }

    /// <summary>Begins a message without a type byte: the packets that open a connection have none.</summary>
    public FrameWriter BeginUntyped()
    {
        if (_lengthAt != NoFrame)
            throw new InvalidOperationException("The message before has not been ended.");
        _lengthAt = _length;
        return AddInt32(0);
    }

    public FrameWriter End()
    {
        BinaryPrimitives.WriteInt32BigEndian(_buffer.AsSpan(_lengthAt), _length - _lengthAt);
        _lengthAt = NoFrame;
        return this;
    }

    public FrameWriter AddByte(byte value)
    {
        Reserve(1)[0] = value;
        return this;
    }

    public FrameWriter AddInt32(int value)
    {
        BinaryPrimitives.WriteInt32BigEndian(Reserve(sizeof(int)), value);
        return this;
    }

    public FrameWriter AddInt64(long value)
    {
        BinaryPrimitives.WriteInt64BigEndian(Reserve(sizeof(long)), value);
        return this;
    }

    public FrameWriter AddBytes(ReadOnlySpan<byte> value)
    {
        value.CopyTo(Reserve(value.Length));
        return this;
    }

    /// <summary>UTF-8 text and a zero byte.</summary>
    /// <exception cref="ArgumentException">The text holds a zero character, which would end it early at the other side.</exception>
    public FrameWriter AddText(string value)
    {
        if (value.Contains('\0', StringComparison.Ordinal))
            throw new ArgumentException("Text in a protocol message cannot hold a zero character.", nameof(value));
        Encoding.UTF8.GetBytes(value, Reserve(Encoding.UTF8.GetByteCount(value)));
        return AddByte(0);
    }

    Span<byte> Reserve(int count)
    {
        if (_buffer.Length - _length < count)
            Array.Resize(ref _buffer, Math.Max(_buffer.Length * 2, _length + count));
        _length += count;
        return _buffer.AsSpan(_length - count, count);
    }
}
