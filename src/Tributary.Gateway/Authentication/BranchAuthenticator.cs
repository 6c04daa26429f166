using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Tributary.Postgres.Scram;
using Tributary.Postgres.Wire;

namespace Tributary.Gateway.Authentication;

/// <summary>
/// Has a client prove a branch's password by SCRAM-SHA-256. For a branch that does not exist the same steps are taken with a made-up password,
/// so neither the messages nor the work tell an unknown branch from a wrong password.
/// Source: https://www.postgresql.org/docs/current/sasl-authentication.html and src/backend/libpq/auth-sasl.c.
/// </summary>
sealed class BranchAuthenticator
{
    // PG_MAX_SASL_MESSAGE_LENGTH in src/include/libpq/sasl.h.
    const int SaslMessageBytesMax = 1024;

    const int SaslRequest = 10;
    const int SaslContinue = 11;
    const int SaslFinal = 12;

    readonly byte[] _mockSecret = RandomNumberGenerator.GetBytes(32);
    readonly ScramKeyCache _keys;

    // Keys of made-up passwords are kept apart: whoever tries many names must not push real branches out.
    readonly ScramKeyCache _mockKeys;

    public BranchAuthenticator(int cachedKeysMax)
    {
        var saltSecret = RandomNumberGenerator.GetBytes(32);
        _keys = new ScramKeyCache(saltSecret, cachedKeysMax);
        _mockKeys = new ScramKeyCache(saltSecret, cachedKeysMax);
    }

    /// <summary>Plays the exchange; null when the client has proved the password.</summary>
    /// <param name="credential">Null for a branch that does not exist.</param>
    /// <exception cref="IOException">The client ended: psql does, to ask its user for a password.</exception>
    public async Task<ErrorResponse?> AuthenticateAsync(
        Stream client, string user, string branch, BranchCredential? credential, CancellationToken cancellationToken)
    {
        await client.WriteAsync(
            new FrameWriter().Begin((byte)'R').AddInt32(SaslRequest).AddText(ScramServer.Mechanism).AddByte(0).End().Written, cancellationToken);
        var (initial, unexpected) = await ReadResponseAsync(client, cancellationToken);
        if (unexpected is not null)
            return unexpected;
        if (InitialData(initial.Span, out var data) is { } refused)
            return refused;
        if (!ScramClientFirst.TryParse(data, out var first, out var fault))
            return Malformed(fault);

        var exchange = ScramServer.Begin(first, _keys.SaltOf(branch), ScramKeys.DefaultIterations);
        await client.WriteAsync(SaslMessage(SaslContinue, exchange.ServerFirst), cancellationToken);
        (var final, unexpected) = await ReadResponseAsync(client, cancellationToken);
        if (unexpected is not null)
            return unexpected;

        var verdict = exchange.Verify(final.Span, credential is null ? _mockKeys.KeysOf(Mock(branch)) : _keys.KeysOf(credential));
        if (verdict.Fault is not null)
            return Malformed(verdict.Fault);
        if (verdict.ServerFinal is null || credential is null)
            return ErrorResponse.Fatal(
                "28P01", $"password authentication failed for user \"{user}\"",
                $"There is no branch \"{branch}\", or it has another password. \"tributary branch connect {branch}\" prints the address of a branch.");
        await client.WriteAsync(SaslMessage(SaslFinal, verdict.ServerFinal), cancellationToken);
        return null;
    }

    BranchCredential Mock(string branch) =>
        new(branch, Convert.ToHexString(HMACSHA256.HashData(_mockSecret, Encoding.UTF8.GetBytes(branch))), "");

    static ReadOnlyMemory<byte> SaslMessage(int kind, byte[] data) => new FrameWriter().Begin((byte)'R').AddInt32(kind).AddBytes(data).End().Written;

    static async ValueTask<(ReadOnlyMemory<byte> Body, ErrorResponse? Error)> ReadResponseAsync(Stream client, CancellationToken cancellationToken)
    {
        if (await Frame.ReadAsync(client, SaslMessageBytesMax, cancellationToken) is not { } frame)
            return (default, ErrorResponse.Fatal("08P01", "invalid message length"));
        return frame.Type == (byte)'p'
            ? (frame.Body, null)
            : (default, ErrorResponse.Fatal("08P01", $"expected SASL response, got message type {frame.Type}"));
    }

    /// <summary>SASLInitialResponse: the mechanism, the length of the data, the data.</summary>
    static ErrorResponse? InitialData(ReadOnlySpan<byte> body, out ReadOnlySpan<byte> data)
    {
        data = default;
        var end = body.IndexOf((byte)0);
        if (end < 0 || body.Length < end + 1 + sizeof(int))
            return Malformed("the initial response is cut short");
        if (!body[..end].SequenceEqual("SCRAM-SHA-256"u8))
            return ErrorResponse.Fatal("08P01", "client selected an invalid SASL authentication mechanism");
        data = body[(end + 1 + sizeof(int))..];
        return BinaryPrimitives.ReadInt32BigEndian(body[(end + 1)..]) == data.Length ? null : Malformed("the initial response has another length than it says");
    }

    static ErrorResponse Malformed(string fault) => ErrorResponse.Fatal("08P01", "malformed SCRAM message") with { Detail = fault };
}
