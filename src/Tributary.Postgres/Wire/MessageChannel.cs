using System.Buffers.Binary;
using System.Net.Sockets;

namespace Tributary.Postgres.Wire;

/// <summary>
/// Takes the server's messages out of one buffer, which is filled with as much as the connection holds at a time: many messages cost one
/// system call and no allocation. A message longer than the buffer makes it grow for as long as that message lasts.
/// Threading: one reader and one writer at a time, which do not wait for each other.
/// Source: https://www.postgresql.org/docs/current/protocol-overview.html#PROTOCOL-MESSAGE-CONCEPTS
/// </summary>
/// <param name="clear">The socket beneath the stream where what it holds is what the stream gives: without TLS. Otherwise null.</param>
public sealed class MessageChannel(Stream stream, Socket? clear, int messageBytesMax) : IAsyncDisposable
{
    // As much as a fast sender sends in some milliseconds; the kernel may hold less back.
    const int GatheredBytes = 512 * 1024;

    /// <summary>A thousand small rows a system call, and small enough to stay in a processor's second cache.</summary>
    public const int BufferBytes = 128 * 1024;

    byte[] _buffer = new byte[BufferBytes];
    int _start;
    int _end;
    bool _gathers;

    /// <summary>Takes the next message if the buffer holds all of it. The body is valid until the next <see cref="ReceiveAsync"/>.</summary>
    /// <exception cref="IOException">The length is impossible or above the limit: what follows cannot be read.</exception>
    public bool TryTake(out byte type, out ReadOnlySpan<byte> body)
    {
        var received = _buffer.AsSpan(_start, _end - _start);
        if (received.Length >= Frame.HeaderBytes)
        {
            var length = BodyLength(received);
            if (received.Length - Frame.HeaderBytes >= length)
            {
                type = received[0];
                body = received.Slice(Frame.HeaderBytes, length);
                _start += Frame.HeaderBytes + length;
                return true;
            }
        }

        type = 0;
        body = default;
        return false;
    }

    /// <summary>
    /// Until the next <see cref="ReceiveAsync"/> what arrives is only laid in the socket's buffer. Otherwise each of the server's small sends wakes a
    /// thread of the runtime that has nothing to do, and the server pays for that within its call: SO_RCVLOWAT in
    /// https://man7.org/linux/man-pages/man7/socket.7.html
    /// </summary>
    public void Gather()
    {
        if (clear is null || _gathers)
            return;
        clear.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReceiveLowWater, GatheredBytes);
        _gathers = true;
    }

    /// <summary>Waits for more bytes. To be called when <see cref="TryTake"/> has answered false.</summary>
    /// <returns>How many bytes came.</returns>
    /// <exception cref="EndOfStreamException">The server closed the connection.</exception>
    public async ValueTask<int> ReceiveAsync(CancellationToken cancellationToken)
    {
        MakeRoom();
        if (_gathers && clear!.Available == 0)
            StopGathering();
        var read = await stream.ReadAsync(_buffer.AsMemory(_end), cancellationToken);
        if (read == 0)
            throw new EndOfStreamException("The server closed the connection.");
        _end += read;
        return read;
    }

    /// <summary>Waits for one whole message; for the parts of a session where speed does not matter. The body is a copy.</summary>
    public async ValueTask<Frame> ReadAsync(CancellationToken cancellationToken)
    {
        Frame frame;
        while (!TryTakeCopy(out frame))
            await ReceiveAsync(cancellationToken);
        return frame;
    }

    public ValueTask WriteAsync(ReadOnlyMemory<byte> messages, CancellationToken cancellationToken) => stream.WriteAsync(messages, cancellationToken);

    public ValueTask DisposeAsync() => stream.DisposeAsync();

    // Whoever waits must hear of the first byte.
    void StopGathering()
    {
        clear!.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReceiveLowWater, 1);
        _gathers = false;
    }

    bool TryTakeCopy(out Frame frame)
    {
        var taken = TryTake(out var type, out var body);
        frame = taken ? new Frame(type, body.ToArray()) : default;
        return taken;
    }

    // The rest of a message moves to the front. The buffer has the size of the message that it waits for, and its first size otherwise.
    void MakeRoom()
    {
        var rest = _buffer.AsSpan(_start, _end - _start);
        var needed = rest.Length >= Frame.HeaderBytes ? Frame.HeaderBytes + BodyLength(rest) : 0;
        var target = _buffer;
        if (needed > _buffer.Length || (_buffer.Length > BufferBytes && needed <= BufferBytes && rest.Length < BufferBytes))
            target = GC.AllocateUninitializedArray<byte>(Math.Max(needed, BufferBytes));
        if (_start > 0 || target != _buffer)
            rest.CopyTo(target);
        _buffer = target;
        _end = rest.Length;
        _start = 0;
    }

    int BodyLength(ReadOnlySpan<byte> header)
    {
        var length = BinaryPrimitives.ReadInt32BigEndian(header[1..]) - sizeof(int);
        return length >= 0 && length <= messageBytesMax
            ? length
            : throw new IOException($"The server sent a message of impossible length ({length} bytes; at most {messageBytesMax}).");
    }
}
