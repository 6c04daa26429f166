using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Tributary.Streaming.Tests;

/// <summary>Passes TCP connections on, keeps a server's answers back on request, and cuts all connections.</summary>
public sealed class CuttingProxy : IAsyncDisposable
{
    readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    readonly CancellationTokenSource _stop = new();
    readonly List<Task> _passing = [];
    readonly Task _accepting;
    CancellationTokenSource _cut = new();
    volatile byte[]? _trigger;
    volatile bool _withholding;

    public CuttingProxy(int serverPort)
    {
        _listener.Start();
        _accepting = AcceptAsync(serverPort);
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>Once a client has sent the text, no server's answer is passed on until the cut.</summary>
    public void WithholdAnswersAfter(string text) => _trigger = Encoding.UTF8.GetBytes(text);

    public void Cut()
    {
        var cut = Interlocked.Exchange(ref _cut, new CancellationTokenSource());
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
            await server.ConnectAsync(IPAddress.Loopback, serverPort, cut);
            await Task.WhenAny(CopyAsync(client, server, answers: false, cut), CopyAsync(server, client, answers: true, cut));
        }
    }

    async Task CopyAsync(TcpClient from, TcpClient to, bool answers, CancellationToken cut)
    {
        var buffer = new byte[64 * 1024];
        try
        {
            int read;
            while ((read = await from.GetStream().ReadAsync(buffer, cut)) > 0)
            {
                if (!answers && _trigger is { } trigger && buffer.AsSpan(0, read).IndexOf(trigger) >= 0)
                    _withholding = true;
                if (!answers || !_withholding)
                    await to.GetStream().WriteAsync(buffer.AsMemory(0, read), cut);
            }
        }
        catch (Exception exception) when (exception is IOException or OperationCanceledException or ObjectDisposedException)
        {
            // The other direction has ended, or all are cut.
        }
    }
}
