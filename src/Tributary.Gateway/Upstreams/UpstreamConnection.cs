using System.Buffers.Binary;
using System.Net.Sockets;
using Tributary.Postgres.Wire;

namespace Tributary.Gateway.Upstreams;

/// <summary>
/// A session with a branch's Postgres, over its Unix socket, from the startup message to the first ReadyForQuery. What the server says on
/// the way goes to the client as it is, but for its cancel key.
/// Source: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP
/// </summary>
sealed class UpstreamConnection : IAsyncDisposable
{
    // A start-up message from the server is a few dozen bytes, an error at most a few thousand; above this it is no Postgres.
    const int BodyBytesMax = 256 * 1024;

    // All that Postgres says at start-up is about 400 bytes.
    const int BufferBytes = 8 * 1024;

    readonly Socket _socket;

    UpstreamConnection(Socket socket)
    {
        _socket = socket;
        Stream = new NetworkStream(socket, ownsSocket: true);
    }

    public Stream Stream { get; }

    /// <exception cref="SocketException">Nothing listens at the path.</exception>
    public static async Task<UpstreamConnection> OpenAsync(string socketPath, CancellationToken cancellationToken)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(socketPath), cancellationToken);
            return new UpstreamConnection(socket);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Opens the session and tells the client all of it, up to the first ReadyForQuery or the server's own error.</summary>
    /// <param name="replaceKey">From the body of the server's BackendKeyData to the message for the client.</param>
    /// <exception cref="IOException">The client's link was lost; the server's is an answer.</exception>
    public async Task<OpeningResult> OpenSessionAsync(
        IEnumerable<KeyValuePair<string, string>> parameters, Stream client, Func<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>> replaceKey,
        CancellationToken cancellationToken)
    {
        var lost = OpeningResult.Refuse("08006", "the branch's Postgres ended the connection before the session began");
        try
        {
            await Stream.WriteAsync(StartupPacket.BuildStartup(parameters), cancellationToken);
        }
        catch (IOException)
        {
            return lost;
        }

        var buffer = new byte[BufferBytes];
        var filled = 0;
        while (true)
        {
            if (filled == buffer.Length)
                Array.Resize(ref buffer, buffer.Length * 2);
            var read = await ReadAsync(buffer.AsMemory(filled), cancellationToken);
            if (read == 0)
                return lost;
            filled += read;

            var answer = Translate(buffer.AsMemory(0, filled), replaceKey, out var forClient, out var taken);
            if (!forClient.IsEmpty)
                await client.WriteAsync(forClient, cancellationToken);
            if (answer is { } result)
            {
                // What follows ReadyForQuery in the buffer is already the session's.
                if (result.Opened && taken < filled)
                    await client.WriteAsync(buffer.AsMemory(taken, filled - taken), cancellationToken);
                return result;
            }

            buffer.AsSpan(taken, filled - taken).CopyTo(buffer);
            filled -= taken;
        }
    }

    /// <summary>Tells the server that the client has ended; it may still answer.</summary>
    public void EndSending() => _socket.Shutdown(SocketShutdown.Send);

    public async ValueTask DisposeAsync() => await Stream.DisposeAsync();

    /// <summary>A broken link and an ended one are the same here: the server has gone.</summary>
    async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        try
        {
            return await Stream.ReadAsync(buffer, cancellationToken);
        }
        catch (IOException)
        {
            return 0;
        }
    }

    static OpeningResult? Translate(
        ReadOnlyMemory<byte> buffer, Func<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>> replaceKey, out ReadOnlyMemory<byte> forClient, out int taken)
    {
        var writer = new FrameWriter();
        taken = 0;
        OpeningResult? result = null;
        while (result is null)
        {
            var read = Frame.TryTake(buffer[taken..], BodyBytesMax, out var frame, out var length);
            if (read == FrameRead.Incomplete)
                break;
            if (read == FrameRead.Malformed)
            {
                result = OpeningResult.Refuse("08P01", "the branch's Postgres sent a message of an impossible length");
                break;
            }

            var whole = buffer.Slice(taken, length);
            taken += length;
            switch ((char)frame.Type)
            {
                case 'R' when frame.Body.Length == sizeof(int) && BinaryPrimitives.ReadInt32BigEndian(frame.Body.Span) == 0:
                case 'S' or 'N':
                    writer.AddBytes(whole.Span);
                    break;
                case 'K' when frame.Body.Length is > sizeof(int) and <= sizeof(int) + StartupPacket.CancelKeyBytesMax:
                    writer.AddBytes(replaceKey(frame.Body).Span);
                    break;
                case 'Z':
                    writer.AddBytes(whole.Span);
                    result = new OpeningResult(Opened: true, Error: null);
                    break;
                case 'E':
                    writer.AddBytes(whole.Span);
                    result = new OpeningResult(Opened: false, Error: null);
                    break;
                case 'R':
                    result = OpeningResult.Refuse("08P01", "the branch's Postgres asks for a password of its own",
                        "Its pg_hba.conf must trust connections over its Unix socket; the gateway has already checked the branch's password.");
                    break;
                default:
                    result = OpeningResult.Refuse("08P01", $"the branch's Postgres sent an unexpected message of type {frame.Type} at start-up");
                    break;
            }
        }

        forClient = writer.Written;
        return result;
    }
}

/// <summary>How a session's opening went. Not opened and no error: the server's own error has gone to the client.</summary>
readonly record struct OpeningResult(bool Opened, ErrorResponse? Error)
{
    public static OpeningResult Refuse(string sqlState, string message, string? hint = null) => new(false, ErrorResponse.Fatal(sqlState, message, hint));
}
