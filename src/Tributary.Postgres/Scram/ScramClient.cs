using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Tributary.Postgres.Scram;

/// <summary>
/// The client's side of one SCRAM-SHA-256 exchange, bound to the server's certificate where there is one. It also makes the server prove that it
/// knows the password.
/// Source: RFC 5802 section 5, RFC 7677, and src/interfaces/libpq/fe-auth-scram.c.
/// </summary>
public sealed class ScramClient
{
    public const string Mechanism = "SCRAM-SHA-256";

    public const string BoundMechanism = "SCRAM-SHA-256-PLUS";

    // Postgres's default is 4,096; the bound keeps a hostile server from making a log-in a denial of service.
    const int IterationsMax = 10_000_000;
    const int NonceBytes = 18;

    readonly byte[] _password;
    readonly string _nonce;
    readonly string _header;
    readonly byte[] _binding;
    byte[]? _serverSignature;

    ScramClient(string password, string nonce, string header, byte[] binding)
    {
        _password = Encoding.UTF8.GetBytes(Prepare(password));
        _nonce = nonce;
        _header = header;
        _binding = binding;
    }

    /// <summary>The mechanism to name in the SASLInitialResponse.</summary>
    public string Chosen => _binding.Length > 0 ? BoundMechanism : Mechanism;

    /// <summary>The user name stays empty: Postgres takes that of the startup packet.</summary>
    public byte[] ClientFirst => Encoding.ASCII.GetBytes(_header + FirstBare);

    string FirstBare => $"n=,r={_nonce}";

    /// <param name="endPointBinding">The hash of the server's certificate; null without TLS.</param>
    /// <param name="serverBinds">Whether the server offers <see cref="BoundMechanism"/>.</param>
    public static ScramClient Begin(string password, byte[]? endPointBinding, bool serverBinds) =>
        Begin(password, Convert.ToBase64String(RandomNumberGenerator.GetBytes(NonceBytes)), endPointBinding, serverBinds);

    internal static ScramClient Begin(string password, string nonce, byte[]? endPointBinding, bool serverBinds) => (endPointBinding, serverBinds) switch
    {
        ({ } binding, true) => new ScramClient(password, nonce, "p=tls-server-end-point,,", binding),

        // 'y': the client could bind. A server that could too learns by it that somebody has removed its offer on the way.
        ({ }, false) => new ScramClient(password, nonce, "y,,", []),
        _ => new ScramClient(password, nonce, "n,,", []),
    };

    /// <summary>Answers the server's first message with the proof.</summary>
    public bool TryProve(ReadOnlySpan<byte> serverFirst, [NotNullWhen(true)] out byte[]? clientFinal)
    {
        clientFinal = null;
        var text = Encoding.ASCII.GetString(serverFirst);
        var parts = text.Split(',');
        if (parts.Length < 3 || !parts[0].StartsWith("r=" + _nonce, StringComparison.Ordinal) || parts[0].Length == 2 + _nonce.Length ||
            !parts[1].StartsWith("s=", StringComparison.Ordinal) || !parts[2].StartsWith("i=", StringComparison.Ordinal) ||
            !int.TryParse(parts[2].AsSpan(2), NumberStyles.None, CultureInfo.InvariantCulture, out var iterations) || iterations is < 1 or > IterationsMax)
            return false;
        var salt = new byte[parts[1].Length];
        if (!Convert.TryFromBase64String(parts[1][2..], salt, out var saltLength) || saltLength == 0)
            return false;

        var salted = Rfc2898DeriveBytes.Pbkdf2(_password, salt.AsSpan(0, saltLength), iterations, HashAlgorithmName.SHA256, SHA256.HashSizeInBytes);
        byte[] channel = [.. Encoding.ASCII.GetBytes(_header), .. _binding];
        var withoutProof = $"c={Convert.ToBase64String(channel)},{parts[0]}";
        var message = Encoding.ASCII.GetBytes($"{FirstBare},{text},{withoutProof}");
        var proof = HMACSHA256.HashData(salted, "Client Key"u8);
        var signature = HMACSHA256.HashData(SHA256.HashData(proof), message);
        for (var i = 0; i < proof.Length; i++)
            proof[i] ^= signature[i];
        _serverSignature = HMACSHA256.HashData(HMACSHA256.HashData(salted, "Server Key"u8), message);
        clientFinal = Encoding.ASCII.GetBytes($"{withoutProof},p={Convert.ToBase64String(proof)}");
        return true;
    }

    /// <summary>Whether the server's last message proves that it knows the password too. Compared in constant time.</summary>
    public bool IsProvedBy(ReadOnlySpan<byte> serverFinal)
    {
        if (_serverSignature is null || !serverFinal.StartsWith("v="u8))
            return false;
        var text = Encoding.ASCII.GetString(serverFinal[2..]);
        var signature = new byte[SHA256.HashSizeInBytes];
        return Convert.TryFromBase64String(text, signature, out var length) && length == signature.Length &&
            CryptographicOperations.FixedTimeEquals(signature, _serverSignature);
    }

    // The part of SASLprep (RFC 4013) that passwords meet: compatibility forms, and all blanks as the plain one. Where it cannot be done, Postgres
    // too takes the password as it is.
    static string Prepare(string password)
    {
        if (System.Text.Ascii.IsValid(password))
            return password;
        try
        {
            return string.Concat(password.Normalize(NormalizationForm.FormKC).Select(c => char.GetUnicodeCategory(c) == UnicodeCategory.SpaceSeparator ? ' ' : c));
        }
        catch (Exception exception) when (exception is ArgumentException or PlatformNotSupportedException)
        {
            return password;
        }
    }
}
