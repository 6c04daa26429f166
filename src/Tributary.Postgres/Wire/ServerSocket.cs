using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Tributary.Postgres.Wire;

/// <summary>
/// Connects to where a URL points: TCP, or a Unix socket when the host is a folder. The receive buffer's size is left to the kernel, which lets it
/// grow with the distance; a fixed one would bound the rate over a long link.
/// </summary>
public static class ServerSocket
{
    const int TcpKeepAliveSeconds = 15;
    const int TcpUserTimeout = 18; // TCP_USER_TIMEOUT in linux/tcp.h.

    /// <exception cref="SocketException">Nobody answers there, or the name is unknown.</exception>
    public static async Task<Socket> ConnectAsync(PostgresUrl url, TimeSpan unacknowledgedMax, CancellationToken cancellationToken)
    {
        // libpq puts the port into the socket's name: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-HOST
        var isUnix = url.IsUnixSocket;
        var socket = isUnix
            ? new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified)
            : new Socket(SocketType.Stream, ProtocolType.Tcp);
        try
        {
            if (isUnix)
            {
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(Path.Combine(url.Host, $".s.PGSQL.{url.Port}")), cancellationToken);
                return socket;
            }

            socket.NoDelay = true;
            socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, TcpKeepAliveSeconds);
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, TcpKeepAliveSeconds);
            if (OperatingSystem.IsLinux())
            {
                var milliseconds = (int)Math.Min(unacknowledgedMax.TotalMilliseconds, int.MaxValue);
                socket.SetRawSocketOption((int)SocketOptionLevel.Tcp, TcpUserTimeout, MemoryMarshal.AsBytes(new ReadOnlySpan<int>(in milliseconds)));
            }

            await ConnectAsync(socket, url, cancellationToken);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    static ValueTask ConnectAsync(Socket socket, PostgresUrl url, CancellationToken cancellationToken) => IPAddress.TryParse(url.Host, out var address)
        ? socket.ConnectAsync(new IPEndPoint(address, url.Port), cancellationToken)
        : socket.ConnectAsync(new DnsEndPoint(url.Host, url.Port), cancellationToken);
}
