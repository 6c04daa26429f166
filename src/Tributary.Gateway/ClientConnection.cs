using System.Buffers;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using Tributary.Postgres.Wire;

namespace Tributary.Gateway;

/// <summary>A client's socket and, once upgraded, the TLS stream on it. Nothing is read ahead: what was not asked for is still in the kernel.</summary>
sealed class ClientConnection(Socket socket) : IAsyncDisposable
{
    /// <summary>The protocol name of a direct TLS connection, as registered for Postgres.</summary>
    public static readonly SslApplicationProtocol Alpn = new("postgresql");

    // What a client may still send after its error, before its connection is cut: enough for a packet that was too long.
    const int LingerBytesMax = 256 * 1024;

    public Stream Stream { get; private set; } = new NetworkStream(socket, ownsSocket: true);

    public bool IsTls => Stream is SslStream;

    /// <summary>The host that a TLS client named (SNI); empty when it named none.</summary>
    public string TlsHost => (Stream as SslStream)?.TargetHostName ?? "";

    public bool HasAlpn => Stream is SslStream tls && tls.NegotiatedApplicationProtocol == Alpn;

    /// <summary>False in the middle of a TLS handshake: words in the clear would be noise there.</summary>
    public bool CanBeTold => Stream is not SslStream { IsAuthenticated: false };

    public string RemoteAddress { get; } = socket.RemoteEndPoint?.ToString() ?? "unknown";

    /// <summary>Bytes that the client has sent and nobody has read; TLS buffers not counted.</summary>
    public int BytesUnread => socket.Available;

    /// <summary>The first byte that waits, without taking it; null when the client has ended.</summary>
    public async ValueTask<byte?> PeekAsync(CancellationToken cancellationToken)
    {
        var first = new byte[1];
        return await socket.ReceiveAsync(first, SocketFlags.Peek, cancellationToken) == 0 ? null : first[0];
    }

    /// <summary>
    /// Answers true once the client has closed its connection, false when told to stop looking. A client that sends something instead cannot
    /// be looked past, and is taken to wait.
    /// </summary>
    public async Task<bool> WaitForDepartureAsync(CancellationToken cancellationToken)
    {
        try
        {
            if (await PeekAsync(cancellationToken) is null)
                return true;
        }
        catch (OperationCanceledException)
        {
            // The session goes on; its own token tells when it does not.
        }
        catch (SocketException)
        {
            return true;
        }

        return false;
    }

    /// <exception cref="System.Security.Authentication.AuthenticationException">The client and the server agreed on no TLS session.</exception>
    public async Task UpgradeToTlsAsync(SslStreamCertificateContext certificate, CancellationToken cancellationToken)
    {
        var tls = new SslStream(Stream, leaveInnerStreamOpen: false);
        Stream = tls;
        await tls.AuthenticateAsServerAsync(
            new SslServerAuthenticationOptions
            {
                ServerCertificateContext = certificate,
                ApplicationProtocols = [Alpn],
                ClientCertificateRequired = false,
                CertificateRevocationCheckMode = X509RevocationMode.NoCheck,
            },
            cancellationToken);
    }

    /// <summary>
    /// Tells the client why it is refused, then ends so that it can read that: a socket closed while bytes wait in it is reset, and a reset
    /// takes the message from the client's own buffer.
    /// </summary>
    public async Task RefuseAsync(ErrorResponse error, CancellationToken cancellationToken)
    {
        await Stream.WriteAsync(error.WriteTo(new FrameWriter()).Written, cancellationToken);
        if (Stream is SslStream tls)
            await tls.ShutdownAsync();
        socket.Shutdown(SocketShutdown.Send);
        var buffer = ArrayPool<byte>.Shared.Rent(8 * 1024);
        try
        {
            for (var total = 0; total < LingerBytesMax;)
            {
                var read = await socket.ReceiveAsync(buffer, cancellationToken);
                if (read == 0)
                    break;
                total += read;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    public async ValueTask DisposeAsync() => await Stream.DisposeAsync();
}
