using Microsoft.Extensions.Logging.Abstractions;
using Tributary.Contracts.Client;
using Tributary.Server.Hosting;

namespace Tributary.Server.Tests.Support;

/// <summary>A running server and a client of it; stopped by disposal.</summary>
sealed class TestServer : IAsyncDisposable
{
    readonly CancellationTokenSource _stop = new();
    readonly ServerHost _host;
    readonly Task _run;

    TestServer(ServerHost host)
    {
        _host = host;
        _run = host.RunAsync(_stop.Token);
        Client = new TributaryClient(host.Configuration.Api.Socket);
    }

    public TributaryClient Client { get; }

    public TributaryConfiguration Configuration => _host.Configuration;

    public int? GatewayPort => _host.GatewayPort;

    public static async Task<TestServer> StartAsync(TributaryConfiguration configuration)
    {
        var (host, failure) = await ServerHost.StartAsync(configuration, TimeProvider.System, NullLoggerFactory.Instance, Production.Token);
        Assert.Null(failure);
        return new TestServer(host!);
    }

    /// <summary>Starts a server that cannot start.</summary>
    public static async Task<OperationFailure> FailAsync(TributaryConfiguration configuration)
    {
        var (host, failure) = await ServerHost.StartAsync(configuration, TimeProvider.System, NullLoggerFactory.Instance, Production.Token);
        if (host is not null)
            await host.DisposeAsync();
        return failure ?? throw new Xunit.Sdk.XunitException("the server started");
    }

    public async ValueTask DisposeAsync()
    {
        if (_stop.IsCancellationRequested)
            return;
        Client.Dispose();
        await _stop.CancelAsync();
        await _run;
        await _host.DisposeAsync();
        _stop.Dispose();
    }
}
