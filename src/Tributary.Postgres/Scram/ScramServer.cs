using System.Security.Cryptography;
using System.Text;

namespace Tributary.Postgres.Scram;

/// <summary>
/// The server's side of one SCRAM-SHA-256 exchange without channel binding. The salt and the iterations are shown before the password is known,
/// so a server can play the exchange for a user that does not exist and refuse it only at the end.
/// Source: RFC 5802 section 5, RFC 7677, and src/backend/libpq/auth-scram.c.
/// </summary>
public sealed class ScramServer
{
    public const string Mechanism = "SCRAM-SHA-256";

    // As many random bytes as Postgres takes: SCRAM_RAW_NONCE_LEN in src/include/common/scram-common.h.
    const int NonceBytes = 18;

    readonly ScramClientFirst _first;
    readonly string _nonce;
    readonly string _serverFirst;

    ScramServer(ScramClientFirst first, string serverNonce, ReadOnlySpan<byte> salt, int iterations)
    {
        _first = first;
        _nonce = first.Nonce + serverNonce;
        _serverFirst = $"r={_nonce},s={Convert.ToBase64String(salt)},i={iterations}";
    }

    /// <summary>The message to answer the client's first with.</summary>
    public byte[] ServerFirst => Encoding.Latin1.GetBytes(_serverFirst);

    public static ScramServer Begin(ScramClientFirst first, ReadOnlySpan<byte> salt, int iterations) =>
        new(first, Convert.ToBase64String(RandomNumberGenerator.GetBytes(NonceBytes)), salt, iterations);

    internal static ScramServer BeginWithNonce(ScramClientFirst first, string serverNonce, ReadOnlySpan<byte> salt, int iterations) =>
        new(first, serverNonce, salt, iterations);

    /// <summary>Checks the client's last message. The proof is compared in constant time.</summary>
    public ScramVerdict Verify(ReadOnlySpan<byte> clientFinal, ScramKeys keys)
    {
        var text = Encoding.Latin1.GetString(clientFinal);
        var proofAt = text.LastIndexOf(",p=", StringComparison.Ordinal);
        if (proofAt < 0)
            return ScramVerdict.Malformed("the proof is missing");
        var withoutProof = text[..proofAt];
        var parts = withoutProof.Split(',');
        if (parts.Length < 2 || !parts[0].StartsWith("c=", StringComparison.Ordinal) || !parts[1].StartsWith("r=", StringComparison.Ordinal))
            return ScramVerdict.Malformed("expected attributes c and r");

        // The header is repeated under the proof: whoever changed the flag on the way is found out here.
        if (parts[0][2..] != Convert.ToBase64String(Encoding.Latin1.GetBytes(_first.Gs2Header)))
            return ScramVerdict.Malformed("unexpected channel-binding attribute in client-final-message");
        if (!CryptographicOperations.FixedTimeEquals(Encoding.Latin1.GetBytes(parts[1][2..]), Encoding.Latin1.GetBytes(_nonce)))
            return ScramVerdict.Malformed("the nonce does not match");
        var proof = new byte[SHA256.HashSizeInBytes];
        if (!Convert.TryFromBase64String(text[(proofAt + 3)..], proof, out var proofLength) || proofLength != proof.Length)
            return ScramVerdict.Malformed("malformed proof in client-final-message");

        var message = Encoding.Latin1.GetBytes($"{_first.Bare},{_serverFirst},{withoutProof}");
        var clientKey = HMACSHA256.HashData(keys.StoredKey, message);
        for (var i = 0; i < clientKey.Length; i++)
            clientKey[i] ^= proof[i];
        if (!CryptographicOperations.FixedTimeEquals(SHA256.HashData(clientKey), keys.StoredKey))
            return ScramVerdict.WrongPassword;
        return ScramVerdict.Proved(Encoding.Latin1.GetBytes("v=" + Convert.ToBase64String(HMACSHA256.HashData(keys.ServerKey, message))));
    }
}

/// <summary>What came of an exchange: exactly one of the server's last message, a fault in the client's message, or neither (a wrong password).</summary>
public readonly record struct ScramVerdict(byte[]? ServerFinal, string? Fault)
{
    public static readonly ScramVerdict WrongPassword;

    public static ScramVerdict Proved(byte[] serverFinal) => new(serverFinal, null);

    public static ScramVerdict Malformed(string fault) => new(null, fault);
}
