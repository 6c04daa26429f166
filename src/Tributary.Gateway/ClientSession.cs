using System.Net.Security;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Tributary.Gateway.Authentication;
using Tributary.Gateway.Cancellation;
using Tributary.Gateway.Handshake;
using Tributary.Gateway.Relay;
using Tributary.Gateway.Routing;
using Tributary.Gateway.Upstreams;
using Tributary.Postgres.Wire;

namespace Tributary.Gateway;

/// <summary>
/// One client connection, from its first byte to its end:
/// <code>
/// client ─▶ Handshake ─▶ Routing ─▶ Authentication ─▶ Upstreams ─▶ Relay ◀─▶ the branch's Postgres
///               └─▶ Cancellation
/// </code>
/// <list type="number">
/// <item>Read the packets that open the connection, up to the one that says what the client wants; TLS is made on the way.</item>
/// <item>A cancel request is passed on, and that is all.</item>
/// <item>Find which branch the client names.</item>
/// <item>Have the client prove the branch's password.</item>
/// <item>Wake the branch and hold it awake; the client waits.</item>
/// <item>Open the session with the branch's Postgres, under a cancel key of our own.</item>
/// <item>Relay bytes until one side ends.</item>
/// <item>Let go, in reverse: the key, the connection, the hold on the branch.</item>
/// </list>
/// An expected failure of a step is an <see cref="ErrorResponse"/> that the client gets; a lost link is logged and nothing more.
/// </summary>
sealed class ClientSession(long id, ClientConnection client, GatewayServices gateway, bool isOverLimit)
{
    /// <summary>How long a client that is refused gets to read why.</summary>
    static readonly TimeSpan RefusalTimeout = TimeSpan.FromSeconds(2);

    bool _isRelaying;

    /// <summary>Runs the session; does not throw. The client's connection is disposed at the end.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        await using var connection = client;
        try
        {
            if (await RunStepsAsync(cancellationToken) is { } error)
                await RefuseAsync(error);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            if (!_isRelaying)
                await RefuseAsync(ErrorResponse.Fatal("57P01", "the gateway stops"));
        }
        catch (Exception exception) when (exception is IOException or SocketException)
        {
            Log.LinkLost(gateway.Logger, exception, id, client.RemoteAddress);
        }
        catch (Exception exception)
        {
            Log.Failed(gateway.Logger, exception, id, client.RemoteAddress);
            if (!_isRelaying)
                await RefuseAsync(ErrorResponse.Fatal("XX000", "the gateway failed; its log says why"));
        }
    }

    async Task<ErrorResponse?> RunStepsAsync(CancellationToken cancellationToken)
    {
        using var timeout = new CancellationTokenSource(isOverLimit ? gateway.Options.OverLimitTimeout : gateway.Options.HandshakeTimeout, gateway.TimeProvider);
        using var handshake = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        Admission admission;
        try
        {
            admission = await AdmitAsync(handshake.Token);
        }
        catch (OperationCanceledException) when (timeout.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            return ErrorResponse.Fatal("57014", "canceling authentication due to timeout");
        }

        return admission.Route is { } route ? await ServeAsync(route, admission.ProtocolMinor, cancellationToken) : admission.Error;
    }

    async Task<Admission> AdmitAsync(CancellationToken cancellationToken)
    {
        // Step 1: read what opens the connection.
        var opening = await new StartupReader(client, gateway.Certificate).ReadAsync(cancellationToken);

        // Step 2: a cancel request is passed on, also when there is no room for another session.
        if (opening.Packet is CancelRequest cancel)
        {
            gateway.Counters.CancelRequested();
            await gateway.Cancels.ForwardAsync(cancel, cancellationToken);
            return default;
        }

        if (opening.Packet is not StartupMessage startup)
            return new Admission(opening.Error);
        if (isOverLimit)
        {
            gateway.Counters.SessionRefused();
            return new Admission(ErrorResponse.Fatal(
                "53300", "sorry, too many clients already", $"The gateway allows {gateway.Options.ConnectionsMax} connections at once."));
        }

        // Step 3: find the branch.
        if (!BranchRoute.TryFind(startup, client.TlsHost, gateway.Options.HostSuffix, out var route, out var unrouted))
            return new Admission(unrouted);
        if (ProtocolNegotiation.Answer(startup) is { IsEmpty: false } negotiation)
            await client.Stream.WriteAsync(negotiation, cancellationToken);

        // Step 4: have the password proved.
        var credential = await gateway.Resolver.FindCredentialAsync(route.Branch, cancellationToken);
        if (await gateway.Authenticator.AuthenticateAsync(client.Stream, route.User, route.Branch, credential, cancellationToken) is { } denied)
        {
            gateway.Counters.AuthenticationFailed();
            return new Admission(denied);
        }

        return new Admission(Error: null, route, ProtocolNegotiation.MinorOf(startup));
    }

    async Task<ErrorResponse?> ServeAsync(BranchRoute route, int protocolMinor, CancellationToken cancellationToken)
    {
        using var timeout = new CancellationTokenSource(gateway.Options.WakeTimeout, gateway.TimeProvider);
        using var opening = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        var began = gateway.TimeProvider.GetTimestamp();
        try
        {
            // Step 5: wake the branch.
            var (upstream, wakeError) = await WakeAsync(route.Branch, route.User, opening.Token);
            if (upstream is null)
                return wakeError;

            // Step 8 happens at the end of these scopes, in reverse.
            await using var hold = upstream;
            await using var connection = await UpstreamConnection.OpenAsync(hold.SocketPath, opening.Token);
            CancelRegistry.Lease? key = null;
            try
            {
                // Step 6: open the session.
                var opened = await connection.OpenSessionAsync(
                    route.Parameters, client.Stream,
                    realKey => (key ??= gateway.Cancels.Register(hold.SocketPath, realKey, protocolMinor)).BackendKeyData, opening.Token);
                if (!opened.Opened)
                    return opened.Error;
                Log.Entered(gateway.Logger, id, client.RemoteAddress, route.Branch, route.User, gateway.TimeProvider.GetElapsedTime(began));
                timeout.CancelAfter(Timeout.InfiniteTimeSpan);

                // Step 7: relay.
                _isRelaying = true;
                var relay = new DuplexRelay(gateway.Options.RelayBufferBytes, gateway.Counters.FromClient, gateway.Counters.ToClient);
                var result = await relay.RunAsync(client.Stream, connection.Stream, connection.EndSending, cancellationToken);
                Log.Ended(gateway.Logger, id, route.Branch, result.EndedBy, result.Broken);
                return null;
            }
            finally
            {
                key?.Dispose();
            }
        }
        catch (OperationCanceledException) when (timeout.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            gateway.Counters.WakeFailed();
            return ErrorResponse.Fatal(
                "57P03", $"branch \"{route.Branch}\" was not ready within {gateway.Options.WakeTimeout.TotalSeconds:0.#} seconds", "Try again, or see the branch's log.");
        }
        catch (SocketException) when (!_isRelaying)
        {
            gateway.Counters.WakeFailed();
            return ErrorResponse.Fatal("08006", $"the Postgres of branch \"{route.Branch}\" cannot be reached", "Try again; the branch may just have stopped.");
        }
    }

    /// <summary>Wakes the branch, but not for a client that has gone meanwhile.</summary>
    async Task<(Upstream? Upstream, ErrorResponse? Error)> WakeAsync(string branch, string user, CancellationToken cancellationToken)
    {
        using var watch = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using var wake = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var watching = CancelOnDepartureAsync(wake, watch.Token);
        try
        {
            var result = await gateway.Resolver.ConnectAsync(branch, user, wake.Token);
            if (result.Upstream is not null)
                return (result.Upstream, null);
            gateway.Counters.WakeFailed();
            return (null, ErrorResponse.Fatal(result.SqlState ?? "57P03", result.Error ?? $"branch \"{branch}\" is not available"));
        }
        catch (OperationCanceledException) when (wake.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            return default;
        }
        finally
        {
            await watch.CancelAsync();
            await watching;
        }
    }

    async Task CancelOnDepartureAsync(CancellationTokenSource wake, CancellationToken cancellationToken)
    {
        if (await client.WaitForDepartureAsync(cancellationToken))
            await wake.CancelAsync();
    }

    async Task RefuseAsync(ErrorResponse error)
    {
        Log.Refused(gateway.Logger, id, client.RemoteAddress, error.SqlState, error.Message);
        if (!client.CanBeTold)
            return;
        using var timeout = new CancellationTokenSource(RefusalTimeout, gateway.TimeProvider);
        try
        {
            await client.RefuseAsync(error, timeout.Token);
        }
        catch (Exception exception) when (exception is IOException or SocketException or OperationCanceledException)
        {
            // The client did not stay to hear it.
        }
    }

    readonly record struct Admission(ErrorResponse? Error, BranchRoute? Route = null, int ProtocolMinor = 0);
}

/// <summary>What all sessions share.</summary>
sealed record GatewayServices(
    GatewayOptions Options, IUpstreamResolver Resolver, SslStreamCertificateContext? Certificate, BranchAuthenticator Authenticator,
    CancelRegistry Cancels, GatewayCounters Counters, TimeProvider TimeProvider, ILogger Logger);
