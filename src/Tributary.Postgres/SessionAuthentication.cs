using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Tributary.Postgres.Scram;
using Tributary.Postgres.Wire;

namespace Tributary.Postgres;

/// <summary>
/// Answers what a server asks before it lets a user in: a password in clear, hashed by MD5, or proved by SCRAM-SHA-256.
/// Source: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP
/// </summary>
/// <param name="endPointBinding">The hash of the server's certificate; null without TLS.</param>
internal sealed class SessionAuthentication(MessageChannel channel, PostgresUrl url, byte[]? endPointBinding)
{
    // AuthRequest codes of src/include/libpq/protocol.h.
    const int Ok = 0;
    const int ClearText = 3;
    const int Md5 = 5;
    const int Sasl = 10;
    const int SaslContinue = 11;
    const int SaslFinal = 12;

    ScramClient? _scram;
    bool _proved;

    /// <summary>Answers one Authentication message; true when the server lets the user in.</summary>
    /// <exception cref="SessionRefusedException">There is no password, or the server asks for what this code cannot do or does not prove itself.</exception>
    public async ValueTask<bool> AnswerAsync(ReadOnlyMemory<byte> request, CancellationToken cancellationToken)
    {
        if (request.Length < sizeof(int))
            throw new IOException("The server sent an authentication request without a kind.");
        var data = request[sizeof(int)..];
        switch (BinaryPrimitives.ReadInt32BigEndian(request.Span))
        {
            case Ok when _scram is not null && !_proved:
                throw new SessionRefusedException($"The server {url} lets the user in without proving that it knows the password; somebody else may answer in its place.");
            case Ok:
                return true;
            case ClearText:
                await SendAsync(new FrameWriter().Begin((byte)'p').AddText(Password()).End(), cancellationToken);
                return false;
            case Md5 when data.Length == 4:
                await SendAsync(new FrameWriter().Begin((byte)'p').AddText(Md5Of(Password(), url.User, data.Span)).End(), cancellationToken);
                return false;
            case Sasl:
                await SendAsync(BeginScram(data.Span), cancellationToken);
                return false;
            case SaslContinue when _scram is { } scram:
                if (!scram.TryProve(data.Span, out var proof))
                    throw new SessionRefusedException($"The server {url} sent what SCRAM-SHA-256 does not allow.");
                await SendAsync(new FrameWriter().Begin((byte)'p').AddBytes(proof).End(), cancellationToken);
                return false;
            case SaslFinal when _scram is { } scram:
                _proved = scram.IsProvedBy(data.Span);
                return false;
            case var kind:
                throw new SessionRefusedException(
                    $"The server {url} asks for a way to authenticate (code {kind}) that is not supported. Let the role in by scram-sha-256, md5, password, cert or trust in pg_hba.conf.");
        }
    }

    ValueTask SendAsync(FrameWriter message, CancellationToken cancellationToken) => channel.WriteAsync(message.Written, cancellationToken);

    FrameWriter BeginScram(ReadOnlySpan<byte> mechanisms)
    {
        var offered = Encoding.ASCII.GetString(mechanisms).Split('\0', StringSplitOptions.RemoveEmptyEntries);
        var binds = offered.Contains(ScramClient.BoundMechanism);
        if (!offered.Contains(ScramClient.Mechanism) && !(binds && endPointBinding is not null))
            throw new SessionRefusedException($"The server {url} offers no way of SASL that is supported ({string.Join(", ", offered)}); SCRAM-SHA-256 is.");
        _scram = ScramClient.Begin(Password(), endPointBinding, binds);
        var first = _scram.ClientFirst;
        return new FrameWriter().Begin((byte)'p').AddText(_scram.Chosen).AddInt32(first.Length).AddBytes(first).End();
    }

    string Password() => StoredPassword.Find(url) ??
        throw new SessionRefusedException($"The server {url} asks for a password, and there is none: put it into the URL, PGPASSWORD or the file ~/.pgpass.");

    static string Md5Of(string password, string user, ReadOnlySpan<byte> salt)
    {
#pragma warning disable CA5351 // The server asks for MD5; the protocol knows no other form of this request.
        var inner = Convert.ToHexStringLower(MD5.HashData(Encoding.UTF8.GetBytes(password + user)));
        return "md5" + Convert.ToHexStringLower(MD5.HashData([.. Encoding.ASCII.GetBytes(inner), .. salt]));
#pragma warning restore CA5351
    }
}
