using System.Collections.Concurrent;
using Tributary.Gateway.Upstreams;

namespace Tributary.Gateway.Tests.Support;

/// <summary>Branches of a test: each a name, a password and the socket of a real Postgres.</summary>
sealed class TestResolver : IUpstreamResolver
{
    int _opened;
    int _disposed;

    public ConcurrentDictionary<string, BranchCredential> Credentials { get; } = [];

    /// <summary>What ConnectAsync does; the default opens the socket given.</summary>
    public required Func<string, CancellationToken, ValueTask<UpstreamResult>> Connect { get; set; }

    public int Opened => Volatile.Read(ref _opened);

    /// <summary>How often a lease was disposed, twice of one lease counted twice.</summary>
    public int Disposed => Volatile.Read(ref _disposed);

    public static TestResolver ForSocket(string socketPath)
    {
        var resolver = new TestResolver { Connect = null! };
        resolver.Connect = (_, _) => ValueTask.FromResult(new UpstreamResult(resolver.Open(socketPath), null, null));
        return resolver;
    }

    public void Add(string branch, string password) => Credentials[branch] = new BranchCredential(branch, password, "1");

    public Upstream Open(string socketPath)
    {
        Interlocked.Increment(ref _opened);
        return new TestUpstream(this, socketPath);
    }

    public ValueTask<BranchCredential?> FindCredentialAsync(string branch, CancellationToken cancellationToken) =>
        ValueTask.FromResult(Credentials.GetValueOrDefault(branch));

    public ValueTask<UpstreamResult> ConnectAsync(string branch, string user, CancellationToken cancellationToken) => Connect(branch, cancellationToken);

    sealed class TestUpstream(TestResolver resolver, string socketPath) : Upstream
    {
        public override string SocketPath { get; } = socketPath;

        public override ValueTask DisposeAsync()
        {
            Interlocked.Increment(ref resolver._disposed);
            return ValueTask.CompletedTask;
        }
    }
}
