using System.Security.Cryptography;
using System.Text;

namespace Tributary.Postgres.Scram;

/// <summary>
/// What a server keeps of a password for SCRAM-SHA-256 (RFC 5802 section 3, RFC 7677): whoever reads it can neither log in elsewhere nor learn
/// the password. A password must be printable ASCII: SASLprep (RFC 4013) leaves it as it is, and this code does not perform SASLprep.
/// </summary>
public sealed class ScramKeys
{
    /// <summary>What RFC 7677 asks for at least, and Postgres's default.</summary>
    public const int DefaultIterations = 4096;

    ScramKeys(byte[] storedKey, byte[] serverKey)
    {
        StoredKey = storedKey;
        ServerKey = serverKey;
    }

    internal byte[] StoredKey { get; }

    internal byte[] ServerKey { get; }

    /// <exception cref="ArgumentException">The password has a character outside printable ASCII.</exception>
    public static ScramKeys Derive(string password, ReadOnlySpan<byte> salt, int iterations)
    {
        if (password.AsSpan().ContainsAnyExceptInRange(' ', '~'))
            throw new ArgumentException("A password for SCRAM must be printable ASCII.", nameof(password));
        var salted = Rfc2898DeriveBytes.Pbkdf2(Encoding.ASCII.GetBytes(password), salt, iterations, HashAlgorithmName.SHA256, SHA256.HashSizeInBytes);
        return new ScramKeys(
            SHA256.HashData(HMACSHA256.HashData(salted, "Client Key"u8)),
            HMACSHA256.HashData(salted, "Server Key"u8));
    }
}
