using System.Buffers.Text;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Tributary.Branching;

/// <summary>
/// The passwords of branches, derived from one random key in the state folder. No password is stored anywhere, and the key of a copied
/// catalog is not in it.
/// </summary>
internal sealed class BranchPasswords
{
    const int KeyBytes = 32;

    /// <summary>144 bits: 24 characters that need no escape in a URL.</summary>
    const int PasswordBytes = 18;

    readonly byte[] _key;

    BranchPasswords(byte[] key) => _key = key;

    /// <summary>Reads the key, or makes it when there is none; only its owner may read the file.</summary>
    /// <exception cref="InvalidDataException">The file does not hold a key.</exception>
    public static BranchPasswords Open(string file)
    {
        if (!File.Exists(file))
        {
            var unfinished = file + ".unfinished";
            File.Delete(unfinished);
            using (var stream = new FileStream(unfinished, new FileStreamOptions
            {
                Mode = FileMode.CreateNew,
                Access = FileAccess.Write,
                UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
            }))
            {
                stream.Write(RandomNumberGenerator.GetBytes(KeyBytes));
                stream.Flush(flushToDisk: true);
            }

            File.Move(unfinished, file);
        }

        var key = File.ReadAllBytes(file);
        return key.Length == KeyBytes
            ? new BranchPasswords(key)
            : throw new InvalidDataException($"{file} must hold {KeyBytes} bytes and holds {key.Length}. Restore it from a backup, or remove it: then every branch gets a new password.");
    }

    /// <summary>The id is never reused, so a new branch of an old name has another password.</summary>
    public string Of(Branch branch)
    {
        var subject = string.Create(CultureInfo.InvariantCulture, $"branch-password:{branch.Id}:{branch.Generation}");
        return Base64Url.EncodeToString(HMACSHA256.HashData(_key, Encoding.UTF8.GetBytes(subject)).AsSpan(0, PasswordBytes));
    }
}
