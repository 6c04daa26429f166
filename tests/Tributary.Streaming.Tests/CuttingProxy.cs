using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Tributary.Streaming.Tests;

/// <summary>A network that a test can spoil: TCP connections are passed on, slowly if it is told so, keep answers back, fall silent, and are cut.</summary>
public sealed class CuttingProxy : IAsyncDisposable
{
    readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    readonly CancellationTokenSource _stop = new();
    readonly List<Task> _passing = [];
    readonly Task _accepting;
    CancellationTokenSource _cut = new();
    volatile byte[]? _trigger;
    volatile bool _withholding;
    volatile bool _silent;
    readonly Lock _lock = new();
    long _bytesToCut = long.MaxValue;
    bool _isCutting;

    public CuttingProxy(int serverPort)
    {
        _listener.Start();
        _accepting = AcceptAsync(serverPort);
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>Each piece is passed on so much later; a piece has <see cref="PieceBytes"/> at most, which together bound the rate.</summary>
    public TimeSpan Delay { get; set; }

    public int PieceBytes { get; set; } = 64 * 1024;

    /// <summary>Times that the proxy cut by itself, see <see cref="CutAfter"/>.</summary>
    public int Cuts { get; private set; }

    /// <summary>Once a client has sent the text, no server's answer is passed on until the cut.</summary>
    public void WithholdAnswersAfter(string text) => _trigger = Encoding.UTF8.GetBytes(text);

    /// <summary>Both directions pass nothing on while the connections stay open, as when a cable is pulled; new connections are taken and not answered.</summary>
    public void FallSilent(bool silent) => _silent = silent;

    /// <summary>Cuts all once so many more bytes of answers have passed, in the middle of a message as likely as not.</summary>
    public void CutAfter(long answerBytes)
    {
        lock (_lock)
            _bytesToCut = answerBytes;
    }

    public void Cut()
    {
        var cut = Interlocked.Exchange(ref _cut, new CancellationTokenSource());
        lock (_lock)
            _isCutting = false;
        _trigger = null;
        _withholding = false;
        cut.Cancel();
        cut.Dispose();
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        Cut();
        _listener.Stop();
        await _accepting;
        await Task.WhenAll(_passing);
        _cut.Dispose();
        _stop.Dispose();
    }

    async Task AcceptAsync(int serverPort)
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                var client = await _listener.AcceptTcpClientAsync(_stop.Token);
                _passing.Add(PassAsync(client, serverPort, _cut.Token));
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    async Task PassAsync(TcpClient client, int serverPort, CancellationToken cut)
    {
        using (client)
        using (var server = new TcpClient())
        {
            try
            {
                await server.ConnectAsync(IPAddress.Loopback, serverPort, cut);
            }
            catch (Exception exception) when (exception is SocketException or OperationCanceledException)
            {
                // The server is down for the moment, or all are cut; the client sees its connection end.
                return;
            }

            await Task.WhenAny(CopyAsync(client, server, answers: false, cut), CopyAsync(server, client, answers: true, cut));
        }
    }

    // How many bytes may still pass, and whether they are the last before the cut.
    (int Passing, bool IsLast) Spend(int read)
    {
        lock (_lock)
        {
            if (_isCutting)
                return (0, false);
            if (_bytesToCut == long.MaxValue || (_bytesToCut -= read) >= 0)
                return (read, false);
            var passing = (int)(read + _bytesToCut);
            (_bytesToCut, _isCutting) = (long.MaxValue, true);
            return (passing, true);
        }
    }

    async Task CopyAsync(TcpClient from, TcpClient to, bool answers, CancellationToken cut)
    {
        var buffer = new byte[64 * 1024];
        try
        {
            int read;
            while ((read = await from.GetStream().ReadAsync(buffer.AsMemory(0, PieceBytes), cut)) > 0)
            {
                if (Delay > TimeSpan.Zero)
                    await Task.Delay(Delay, TimeProvider.System, cut);
                if (!answers && _trigger is { } trigger && buffer.AsSpan(0, read).IndexOf(trigger) >= 0)
                    _withholding = true;
                if (_silent || (answers && _withholding))
                    continue;
                var (passing, isLast) = answers ? Spend(read) : (read, false);
                await to.GetStream().WriteAsync(buffer.AsMemory(0, passing), cut);
                if (isLast)
                {
                    Cuts++;
                    Cut();
                }

                // What was kept back is followed by nothing: a cut ends a connection and takes no bytes out of it.
                if (passing < read)
                    return;
            }
        }
        catch (Exception exception) when (exception is IOException or OperationCanceledException or ObjectDisposedException)
        {
            // The other direction has ended, or all are cut.
        }
    }
}
