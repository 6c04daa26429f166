using System.Buffers.Binary;
using System.Net.Security;
using System.Security.Authentication;
using Tributary.Postgres.Wire;

namespace Tributary.Gateway.Handshake;

/// <summary>
/// Reads what opens a connection, up to the packet that says what the client wants. Guarantees: no byte is read ahead, so nothing sent in
/// the clear is ever taken for something sent under TLS; no packet above the limit is allocated; malformed input is an answer, not an exception.
/// Source: ProcessStartupPacket and ProcessSSLStartup in src/backend/tcop/backend_startup.c.
/// </summary>
sealed class StartupReader(ClientConnection client, SslStreamCertificateContext? certificate)
{
    // The first byte of a TLS record that carries a handshake. As the first byte of a length it would mean a packet of 369 MB.
    const byte TlsHandshakeRecord = 0x16;

    /// <summary>The upgrade to TLS is offered once, and GSSAPI is refused once, as in Postgres: a client cannot keep asking.</summary>
    bool _tlsAsked;
    bool _gssAsked;

    /// <exception cref="IOException">The client ended, or its link was lost.</exception>
    public async Task<StartupResult> ReadAsync(CancellationToken cancellationToken)
    {
        var first = await client.PeekAsync(cancellationToken);
        if (first is null)
            return default;
        if (first == TlsHandshakeRecord)
        {
            _tlsAsked = true;
            if (await DirectTlsAsync(cancellationToken) is { } refused)
                return refused;
        }

        while (true)
        {
            var (packet, error) = await ReadPacketAsync(cancellationToken);
            switch (packet)
            {
                case SslRequest when !_tlsAsked:
                    _tlsAsked = true;
                    if (await AnswerSslRequestAsync(cancellationToken) is { } refused)
                        return refused;
                    break;
                case GssRequest when !_gssAsked:
                    _gssAsked = true;
                    await client.Stream.WriteAsync("N"u8.ToArray(), cancellationToken);
                    break;
                case SslRequest or GssRequest:
                    return StartupResult.Refuse("08P01", "encryption was requested twice on one connection");
                default:
                    return new StartupResult(packet, error);
            }
        }
    }

    async ValueTask<StartupResult?> DirectTlsAsync(CancellationToken cancellationToken)
    {
        // The client speaks TLS only; an error in the clear would be noise to it.
        if (certificate is null || !await TryUpgradeAsync(certificate, cancellationToken))
            return default(StartupResult);
        return client.HasAlpn
            ? null
            : StartupResult.Refuse("08P01", "received direct SSL connection request without ALPN protocol negotiation extension");
    }

    async ValueTask<StartupResult?> AnswerSslRequestAsync(CancellationToken cancellationToken)
    {
        if (certificate is null)
        {
            await client.Stream.WriteAsync("N"u8.ToArray(), cancellationToken);
            return null;
        }

        if (client.BytesUnread > 0)
            return StartupResult.Refuse("08P01", "received unencrypted data after SSL request");
        await client.Stream.WriteAsync("S"u8.ToArray(), cancellationToken);
        return await TryUpgradeAsync(certificate, cancellationToken) ? null : default(StartupResult);
    }

    async ValueTask<bool> TryUpgradeAsync(SslStreamCertificateContext context, CancellationToken cancellationToken)
    {
        try
        {
            await client.UpgradeToTlsAsync(context, cancellationToken);
            return true;
        }
        catch (AuthenticationException)
        {
            return false;
        }
    }

    async ValueTask<(StartupPacket? Packet, ErrorResponse? Error)> ReadPacketAsync(CancellationToken cancellationToken)
    {
        var length = new byte[sizeof(int)];
        await client.Stream.ReadExactlyAsync(length, cancellationToken);
        var bodyLength = (long)BinaryPrimitives.ReadInt32BigEndian(length) - sizeof(int);
        if (bodyLength is < sizeof(int) or > StartupPacket.BodyBytesMax)
            return (null, ErrorResponse.Fatal("08P01", "invalid length of startup packet"));
        var body = new byte[bodyLength];
        await client.Stream.ReadExactlyAsync(body, cancellationToken);
        return StartupPacket.TryParse(body, out var packet, out var error) ? (packet, null) : (null, error);
    }
}

/// <summary>What the client wants, or why it is refused; neither when there is nobody left to tell.</summary>
readonly record struct StartupResult(StartupPacket? Packet, ErrorResponse? Error)
{
    public static StartupResult Refuse(string sqlState, string message) => new(null, ErrorResponse.Fatal(sqlState, message));
}
