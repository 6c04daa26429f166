using System.Buffers.Binary;

namespace Tributary.Postgres.Wire;

/// <summary>One protocol message: its type byte and its body, without the length.</summary>
public readonly record struct Frame(byte Type, ReadOnlyMemory<byte> Body)
{
    /// <summary>The type byte and the length.</summary>
    public const int HeaderBytes = 1 + sizeof(int);

    /// <summary>
    /// Takes one whole message off the front of a buffer. The frame's body is a slice of the buffer, not a copy.
    /// </summary>
    /// <param name="length">Bytes of the message with its header, when the answer is <see cref="FrameRead.Whole"/>.</param>
    public static FrameRead TryTake(ReadOnlyMemory<byte> buffer, int bodyBytesMax, out Frame frame, out int length)
    {
        frame = default;
        length = 0;
        if (buffer.Length < HeaderBytes)
            return FrameRead.Incomplete;
        var counted = BinaryPrimitives.ReadInt32BigEndian(buffer.Span[1..]);
        if (counted < sizeof(int) || counted - sizeof(int) > bodyBytesMax)
            return FrameRead.Malformed;
        if (buffer.Length < counted + 1)
            return FrameRead.Incomplete;
        length = counted + 1;
        frame = new Frame(buffer.Span[0], buffer[HeaderBytes..length]);
        return FrameRead.Whole;
    }

    /// <summary>Reads one message and not a byte more. Answers null when its length is below four or above the limit.</summary>
    /// <exception cref="EndOfStreamException">The other side ended before the message did.</exception>
    public static async ValueTask<Frame?> ReadAsync(Stream stream, int bodyBytesMax, CancellationToken cancellationToken)
    {
        var header = new byte[HeaderBytes];
        await stream.ReadExactlyAsync(header, cancellationToken);
        var counted = BinaryPrimitives.ReadInt32BigEndian(header.AsSpan(1));
        if (counted < sizeof(int) || counted - sizeof(int) > bodyBytesMax)
            return null;
        var body = new byte[counted - sizeof(int)];
        await stream.ReadExactlyAsync(body, cancellationToken);
        return new Frame(header[0], body);
    }
}

/// <summary>What the front of a buffer holds.</summary>
public enum FrameRead
{
    Incomplete,
    Whole,

    /// <summary>The length is impossible or above the limit: what follows cannot be read.</summary>
    Malformed,
}
