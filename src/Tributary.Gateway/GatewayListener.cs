using System.Collections.Concurrent;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Tributary.Gateway.Authentication;
using Tributary.Gateway.Cancellation;
using Tributary.Gateway.Handshake;
using Tributary.Gateway.Upstreams;

namespace Tributary.Gateway;

/// <summary>
/// The gateway's one port. <see cref="BindAsync"/> first, then <see cref="RunAsync"/>; both once. Owns every session it accepts and awaits
/// them all before it ends.
/// </summary>
public sealed class GatewayListener : IAsyncDisposable
{
    /// <summary>
    /// Connections over the limit that are still accepted, so that they can be told so and so that cancel requests get through.
    /// Each lasts a moment; a few at once suffice.
    /// </summary>
    const int OverLimitMax = 32;

    /// <summary>Between two attempts to accept when the process has no file descriptor left, for example.</summary>
    static readonly TimeSpan AcceptPause = TimeSpan.FromMilliseconds(100);

    readonly GatewayOptions _options;
    readonly IUpstreamResolver _resolver;
    readonly TimeProvider _timeProvider;
    readonly ILogger _logger;
    readonly GatewayCounters _counters = new();
    readonly ConcurrentDictionary<long, Task> _sessions = [];
    readonly SemaphoreSlim _slots;
    Socket? _socket;
    SslStreamCertificateContext? _certificate;

    public GatewayListener(GatewayOptions options, IUpstreamResolver resolver, TimeProvider timeProvider, ILoggerFactory loggerFactory)
    {
        _options = options;
        Port = options.Port;
        _resolver = resolver;
        _timeProvider = timeProvider;
        _logger = loggerFactory.CreateLogger("Tributary.Gateway");
        _slots = new SemaphoreSlim(Math.Max(options.ConnectionsMax, 1) + OverLimitMax);
    }

    /// <summary>The port in use once bound; before, the one asked for.</summary>
    public int Port { get; private set; }

    public GatewayStatus Status => _counters.Snapshot(Port);

    /// <summary>Checks the options, reads the certificate and takes the port. Clients may connect from here on; <see cref="RunAsync"/> serves them.</summary>
    public Task<GatewayBindResult> BindAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (_socket is not null)
            throw new InvalidOperationException("The gateway is bound already.");
        return Task.FromResult(Bind());
    }

    /// <summary>
    /// Accepts clients until cancelled, then accepts no more, gives the sessions that run the drain time to end, and ends the others.
    /// </summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var socket = _socket ?? throw new InvalidOperationException("BindAsync comes first.");
        using var endSessions = new CancellationTokenSource();
        var services = new GatewayServices(
            _options, _resolver, _certificate, new BranchAuthenticator(_options.CachedKeysMax), new CancelRegistry(), _counters, _timeProvider, _logger);
        try
        {
            await AcceptAsync(socket, services, endSessions.Token, cancellationToken);
        }
        finally
        {
            socket.Dispose();
            await DrainAsync(endSessions);
        }
    }

    /// <summary>Lets the port go. Sessions belong to <see cref="RunAsync"/>, which must have ended.</summary>
    public ValueTask DisposeAsync()
    {
        _socket?.Dispose();
        _slots.Dispose();
        return ValueTask.CompletedTask;
    }

    GatewayBindResult Bind()
    {
        if (_options.Validate() is { Count: > 0 } faults)
            return new GatewayBindResult($"the gateway's settings cannot be used: {string.Join("; ", faults)}");
        if (_options is { TlsCertificateFile: { } certificateFile, TlsKeyFile: { } keyFile })
        {
            (_certificate, var fault) = TlsCertificate.Load(certificateFile, keyFile);
            if (fault is not null)
                return new GatewayBindResult(fault);
        }

        var endPoint = new IPEndPoint(IPAddress.Parse(_options.ListenAddress), _options.Port);
        var socket = new Socket(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.Bind(endPoint);
            socket.Listen(_options.Backlog);
        }
        catch (SocketException exception)
        {
            socket.Dispose();
            return new GatewayBindResult(Explain(exception));
        }

        _socket = socket;
        Port = ((IPEndPoint)socket.LocalEndPoint!).Port;
        Log.Listening(_logger, _options.ListenAddress, Port, _certificate is not null);
        return default;
    }

    string Explain(SocketException exception) => exception.SocketErrorCode switch
    {
        SocketError.AddressAlreadyInUse =>
            $"port {_options.Port} on {_options.ListenAddress} is taken by another program: give the gateway another one (gateway.listen), " +
            $"or stop that program (ss -ltnp 'sport = :{_options.Port}' names it)",
        SocketError.AccessDenied =>
            $"this user may not listen on port {_options.Port}: give the gateway a port above 1023 (gateway.listen)",
        SocketError.AddressNotAvailable =>
            $"this machine has no address {_options.ListenAddress}: give the gateway one that it has (gateway.listen), or 0.0.0.0 for all",
        _ => $"the gateway cannot listen on {_options.ListenAddress}:{_options.Port}: {exception.Message}",
    };

    async Task AcceptAsync(Socket listener, GatewayServices services, CancellationToken endSessions, CancellationToken cancellationToken)
    {
        try
        {
            for (var id = 1L; ; id++)
            {
                // At the limit nothing is accepted; the kernel's backlog holds who comes.
                await _slots.WaitAsync(cancellationToken);
                var socket = await AcceptOneAsync(listener, cancellationToken);
                var isOverLimit = _counters.SessionBegan() > _options.ConnectionsMax;
                // The entry stands before the session runs, so that its end finds it.
                var begin = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                _sessions[id] = RunSessionAsync(id, socket, services, isOverLimit, begin.Task, endSessions);
                begin.SetResult();
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // Told to stop: the sessions are drained next.
        }
    }

    async Task<Socket> AcceptOneAsync(Socket listener, CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                var socket = await listener.AcceptAsync(cancellationToken);
                socket.NoDelay = true;

                // A client whose machine has vanished is noticed by the kernel, and its branch can sleep.
                socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
                return socket;
            }
            catch (SocketException exception)
            {
                Log.AcceptFailed(_logger, exception, AcceptPause);
                await Task.Delay(AcceptPause, _timeProvider, cancellationToken);
            }
        }
    }

    async Task RunSessionAsync(long id, Socket socket, GatewayServices services, bool isOverLimit, Task begin, CancellationToken endSessions)
    {
        await begin;
        try
        {
            await new ClientSession(id, new ClientConnection(socket), services, isOverLimit).RunAsync(endSessions);
        }
        finally
        {
            _counters.SessionEnded();
            _slots.Release();
            _sessions.TryRemove(id, out _);
        }
    }

    async Task DrainAsync(CancellationTokenSource endSessions)
    {
        var sessions = Task.WhenAll(_sessions.Values);
        Log.Draining(_logger, _sessions.Count, _options.DrainTimeout);
        try
        {
            await sessions.WaitAsync(_options.DrainTimeout, _timeProvider);
        }
        catch (TimeoutException)
        {
            await endSessions.CancelAsync();
            await sessions;
        }
    }
}

/// <summary>Whether the gateway has its port; else what is wrong, with what, and which setting helps.</summary>
public readonly record struct GatewayBindResult(string? Error)
{
    public bool Succeeded => Error is null;
}
