namespace Tributary.Gateway;

/// <summary>What the gateway has done since it was made; a snapshot.</summary>
/// <param name="SessionsNow">Client connections that are open, those that still authenticate included.</param>
/// <param name="BytesFromClients">Relayed towards branches after authentication, bytes.</param>
/// <param name="BytesToClients">Relayed towards clients after authentication, bytes.</param>
/// <param name="WakeFailures">Clients that proved their password and got no Postgres.</param>
public sealed record GatewayStatus(
    int Port, int SessionsNow, long SessionsTotal, long SessionsRefused, long AuthenticationFailures, long WakeFailures, long CancelRequests,
    long BytesFromClients, long BytesToClients);

/// <summary>The counters behind <see cref="GatewayStatus"/>; every session adds to them.</summary>
sealed class GatewayCounters
{
    int _sessionsNow;
    long _sessionsTotal;
    long _sessionsRefused;
    long _authenticationFailures;
    long _wakeFailures;
    long _cancelRequests;
    long _bytesFromClients;
    long _bytesToClients;

    public int SessionBegan()
    {
        Interlocked.Increment(ref _sessionsTotal);
        return Interlocked.Increment(ref _sessionsNow);
    }

    public void SessionEnded() => Interlocked.Decrement(ref _sessionsNow);

    public void SessionRefused() => Interlocked.Increment(ref _sessionsRefused);

    public void AuthenticationFailed() => Interlocked.Increment(ref _authenticationFailures);

    public void WakeFailed() => Interlocked.Increment(ref _wakeFailures);

    public void CancelRequested() => Interlocked.Increment(ref _cancelRequests);

    public void FromClient(int bytes) => Interlocked.Add(ref _bytesFromClients, bytes);

    public void ToClient(int bytes) => Interlocked.Add(ref _bytesToClients, bytes);

    public GatewayStatus Snapshot(int port) => new(
        port, Volatile.Read(ref _sessionsNow), Interlocked.Read(ref _sessionsTotal), Interlocked.Read(ref _sessionsRefused),
        Interlocked.Read(ref _authenticationFailures), Interlocked.Read(ref _wakeFailures), Interlocked.Read(ref _cancelRequests),
        Interlocked.Read(ref _bytesFromClients), Interlocked.Read(ref _bytesToClients));
}
