using System.Collections.Concurrent;
using System.Net.Sockets;
using Tributary.Postgres.Programs;

namespace Tributary.Branching.Seeding;

/// <summary>
/// The only way from a spare's sandbox to main: a socket of ours in a folder of its own, whose bytes are carried to main's socket.
/// Closing it before the promoted spare is given away leaves no way at all, since the sandbox has no network and sees no other socket.
/// </summary>
/// <param name="folder">Where the spare finds it: a folder that its sandbox sees.</param>
/// <param name="target">Main's socket file.</param>
internal sealed class MainLink(string folder, string target) : IAsyncDisposable
{
    /// <summary>A spare has one WAL receiver, and a second one for a moment while it reconnects.</summary>
    const int ConnectionsMax = 4;

    readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    readonly CancellationTokenSource _end = new();
    readonly ConcurrentDictionary<Task, bool> _relays = [];
    Task _accepting = Task.CompletedTask;

    public string Folder => folder;

    /// <exception cref="SocketException">The socket cannot be made.</exception>
    public void Listen()
    {
        Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        var path = Path.Combine(folder, LaunchSpec.SocketFile);
        File.Delete(path);
        _listener.Bind(new UnixDomainSocketEndPoint(path));
        PostgresUser.Own(folder, path);
        _listener.Listen(ConnectionsMax);
        _accepting = AcceptAsync(_end.Token);
    }

    /// <summary>Cuts the connections and removes the socket.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_end.IsCancellationRequested)
            return;
        await _end.CancelAsync();
        _listener.Dispose();
        await _accepting;
        await Task.WhenAll(_relays.Keys);
        if (Directory.Exists(folder))
            Directory.Delete(folder, recursive: true);
        _end.Dispose();
    }

    async Task AcceptAsync(CancellationToken cancellationToken)
    {
        try
        {
            while (true)
            {
                var client = await _listener.AcceptAsync(cancellationToken);
                if (_relays.Count >= ConnectionsMax)
                {
                    client.Dispose();
                    continue;
                }

                var relay = RelayAsync(client, cancellationToken);
                _relays.TryAdd(relay, true);
                _ = relay.ContinueWith(done => _relays.TryRemove(done, out _), TaskScheduler.Default);
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // That is how it ends.
        }
    }

    async Task RelayAsync(Socket client, CancellationToken cancellationToken)
    {
        using var main = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        using var cut = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        try
        {
            await main.ConnectAsync(new UnixDomainSocketEndPoint(target), cut.Token);
            await using var near = new NetworkStream(client, ownsSocket: true);
            await using var far = new NetworkStream(main);
            // The end of one direction is the end of both: a WAL receiver never half-closes.
            var ended = await Task.WhenAny(near.CopyToAsync(far, cut.Token), far.CopyToAsync(near, cut.Token));
            await cut.CancelAsync();
            await ended;
        }
        catch (Exception exception) when (exception is OperationCanceledException or SocketException or IOException)
        {
            // The spare asks again, or is given away.
        }
        finally
        {
            client.Dispose();
        }
    }
}
