namespace Tributary.Gateway.Upstreams;

/// <summary>
/// The gateway's port to whatever owns branches: it knows their credentials and wakes their Postgres.
/// The gateway never opens a catalog.
/// </summary>
public interface IUpstreamResolver
{
    /// <summary>The credential of a branch, without waking it; null when there is no such branch.</summary>
    ValueTask<BranchCredential?> FindCredentialAsync(string branch, CancellationToken cancellationToken);

    /// <summary>Makes the branch run and holds it awake until the upstream is disposed. Called only after the client has proved its password.</summary>
    /// <param name="user">Who the client wants to be there.</param>
    ValueTask<UpstreamResult> ConnectAsync(string branch, string user, CancellationToken cancellationToken);
}

/// <summary>A running Postgres, or why there is none.</summary>
/// <param name="SqlState">The five characters of the error for the client, for example <c>57P03</c>.</param>
/// <param name="Error">The text for the client.</param>
public readonly record struct UpstreamResult(Upstream? Upstream, string? SqlState, string? Error);

/// <summary>A running Postgres of a branch, reached by a Unix socket. Disposing it lets the branch sleep again.</summary>
public abstract class Upstream : IAsyncDisposable
{
    /// <summary>Path of the socket file; the server behind it trusts whoever reaches it.</summary>
    public abstract string SocketPath { get; }

    public abstract ValueTask DisposeAsync();
}
