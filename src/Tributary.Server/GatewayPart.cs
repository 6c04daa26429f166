using Microsoft.Extensions.Logging;
using Tributary.Contracts;
using Tributary.Gateway;

namespace Tributary.Server;

/// <summary>The gateway as the server runs it; its port is bound before the server counts as started.</summary>
sealed class GatewayPart : IAsyncDisposable
{
    readonly GatewayConfiguration _configuration;
    readonly GatewayListener _listener;
    readonly ServerPart _loop;

    public GatewayPart(GatewayConfiguration configuration, GatewayListener listener, TimeProvider timeProvider, ILogger logger)
    {
        _configuration = configuration;
        _listener = listener;
        _loop = new ServerPart("gateway", listener.RunAsync, timeProvider, logger);
    }

    public static GatewayOptions Options(GatewayConfiguration configuration) => new()
    {
        ListenAddress = configuration.Listen.Address.ToString(),
        Port = configuration.Listen.Port,
        TlsCertificateFile = configuration.TlsCertificate,
        TlsKeyFile = configuration.TlsKey,
        HostSuffix = configuration.HostSuffix,
        ConnectionsMax = configuration.ConnectionsMax,
    };

    public void Start() => _loop.Start();

    public Task StopAsync() => _loop.StopAsync();

    public GatewayStatusResponse Status() => new()
    {
        State = _loop.State,
        Host = _configuration.Listen.Address.ToString(),
        Port = _listener.Port,
        Connections = _listener.Status.SessionsNow,
        Tls = _configuration.TlsCertificate is not null,
        Error = _loop.Error,
    };

    public async ValueTask DisposeAsync()
    {
        await _loop.DisposeAsync();
        await _listener.DisposeAsync();
    }
}
