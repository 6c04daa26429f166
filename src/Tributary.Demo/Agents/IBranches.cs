namespace Tributary.Demo.Agents;

/// <summary>How an agent gets a copy that it can break, and gives it back.</summary>
public interface IBranches
{
    /// <summary>Creates a branch of production as it is now. Returns when the create call is answered; compute may still be asleep.</summary>
    /// <exception cref="BranchException">The branch could not be made; the message says why and what to do.</exception>
    Task<BranchLease> CreateAsync(string name, CancellationToken cancellationToken);

    /// <summary>Deletes the branch; one that no longer exists is no error.</summary>
    /// <exception cref="BranchException">The branch could not be deleted.</exception>
    Task DeleteAsync(string name, CancellationToken cancellationToken);
}

/// <param name="Name">The branch's name.</param>
/// <param name="ConnectionString">For Npgsql, through the gateway, with the branch's own credentials. Never logged.</param>
public sealed record BranchLease(string Name, string ConnectionString)
{
    // A record prints its members; a connection string holds a password.
    public override string ToString() => $"Branch {Name}";
}

/// <summary>A branch could not be created or deleted.</summary>
public sealed class BranchException(string message, Exception? inner = null) : Exception(message, inner);
