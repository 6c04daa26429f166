using System.Security.Cryptography;
using System.Text;
using Tributary.Postgres.Scram;

namespace Tributary.Gateway.Authentication;

/// <summary>Derived keys by branch, so that a connection pool does not derive them over and over. At its limit the oldest entry goes.</summary>
sealed class ScramKeyCache(byte[] saltSecret, int keysMax)
{
    // As many bytes as Postgres salts with: SCRAM_DEFAULT_SALT_LEN.
    const int SaltBytes = 16;

    readonly Lock _lock = new();
    readonly Dictionary<string, (string Version, ScramKeys Keys)> _keys = [];
    readonly Queue<string> _order = [];

    /// <summary>The salt follows from the name alone, so a branch that exists and one that does not show the same kind of salt, steady over calls.</summary>
    public byte[] SaltOf(string branch) => HMACSHA256.HashData(saltSecret, Encoding.UTF8.GetBytes(branch))[..SaltBytes];

    public ScramKeys KeysOf(BranchCredential credential)
    {
        lock (_lock)
            if (_keys.TryGetValue(credential.Branch, out var known) && known.Version == credential.Version)
                return known.Keys;

        // Outside the lock: deriving takes about a millisecond, and two sessions that derive the same keys do no harm.
        var keys = ScramKeys.Derive(credential.Password, SaltOf(credential.Branch), ScramKeys.DefaultIterations);
        lock (_lock)
        {
            if (!_keys.ContainsKey(credential.Branch))
                _order.Enqueue(credential.Branch);
            _keys[credential.Branch] = (credential.Version, keys);
            if (_order.Count > keysMax)
                _keys.Remove(_order.Dequeue());
        }

        return keys;
    }
}
