using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Security.Cryptography;
using Tributary.Postgres.Wire;

namespace Tributary.Gateway.Cancellation;

/// <summary>
/// The cancel keys that clients hold, each for the key of a branch's Postgres. Real keys never leave the gateway: two branches may well have
/// the same process id and even the same key. As many entries as sessions that run, so the limit of connections bounds it.
/// </summary>
sealed class CancelRegistry
{
    // A key of protocol 3.0 has four bytes. Protocol 3.2 allows more; Postgres 18 takes 32.
    const int ShortKeyBytes = sizeof(int);
    const int LongKeyBytes = 32;

    readonly ConcurrentDictionary<int, Entry> _entries = [];

    /// <summary>Makes a key for a client and remembers what it stands for until the lease is disposed.</summary>
    /// <param name="upstreamBackendKeyData">The body of the message BackendKeyData: the process id and the key.</param>
    public Lease Register(string socketPath, ReadOnlyMemory<byte> upstreamBackendKeyData, int protocolMinor)
    {
        var key = RandomNumberGenerator.GetBytes(protocolMinor >= 2 ? LongKeyBytes : ShortKeyBytes);
        var entry = new Entry(socketPath, BinaryPrimitives.ReadInt32BigEndian(upstreamBackendKeyData.Span), upstreamBackendKeyData[sizeof(int)..].ToArray(), key);
        while (true)
        {
            // Random, not counted: with a four-byte key, the process id is half of what a stranger must guess.
            var processId = RandomNumberGenerator.GetInt32(1, int.MaxValue);
            if (_entries.TryAdd(processId, entry))
                return new Lease(this, processId, key);
        }
    }

    /// <summary>
    /// Passes a request on and waits until the branch's Postgres has taken it. A wrong key is answered as a right one: by nothing.
    /// Source: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-CANCELING-REQUESTS
    /// </summary>
    /// <exception cref="SocketException">The branch's Postgres cannot be reached any more.</exception>
    public async Task ForwardAsync(CancelRequest request, CancellationToken cancellationToken)
    {
        if (!_entries.TryGetValue(request.ProcessId, out var entry) || !CryptographicOperations.FixedTimeEquals(request.Key.Span, entry.Key))
            return;
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(entry.SocketPath), cancellationToken);
        await socket.SendAsync(StartupPacket.BuildCancel(entry.UpstreamProcessId, entry.UpstreamKey), cancellationToken);

        // Postgres closes once it has sent the signal; a client that waits for our close then knows the same.
        await socket.ReceiveAsync(new byte[1], cancellationToken);
    }

    sealed record Entry(string SocketPath, int UpstreamProcessId, byte[] UpstreamKey, byte[] Key);

    /// <summary>A client's key while its session runs.</summary>
    internal sealed class Lease(CancelRegistry registry, int processId, byte[] key) : IDisposable
    {
        public ReadOnlyMemory<byte> BackendKeyData { get; } =
            new FrameWriter().Begin((byte)'K').AddInt32(processId).AddBytes(key).End().Written;

        public void Dispose() => registry._entries.TryRemove(processId, out _);
    }
}
