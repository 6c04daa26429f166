using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using OpenTelemetry.Metrics;

namespace Tributary.Server.Telemetry;

/// <summary>The metrics at <c>/metrics</c> of an address of their own, which may be open to a network: nothing else is there, and nothing can be done.</summary>
sealed class MetricsListener : IAsyncDisposable
{
    readonly WebApplication _app;

    MetricsListener(WebApplication app) => _app = app;

    public static async Task<(MetricsListener? Listener, OperationFailure? Failure)> StartAsync(
        IPEndPoint address, MeterProvider metrics, ILoggerFactory loggerFactory, CancellationToken cancellationToken)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ApplicationName = "tributary", ContentRootPath = AppContext.BaseDirectory });
        builder.Services.AddSingleton(loggerFactory);
        builder.Services.AddSingleton<IHostLifetime, NoLifetime>();
        builder.WebHost.UseKestrelCore().ConfigureKestrel(options =>
        {
            options.AddServerHeader = false;
            options.Limits.MaxRequestBodySize = 0;
            options.Listen(address);
        });
        var app = builder.Build();
        app.UseOpenTelemetryPrometheusScrapingEndpoint(metrics, predicate: null, path: "/metrics", configureBranchedPipeline: null, optionsName: null);
        try
        {
            await app.StartAsync(cancellationToken);
            return (new MetricsListener(app), null);
        }
        catch (Exception exception) when (exception is IOException or System.Net.Sockets.SocketException or UnauthorizedAccessException)
        {
            await app.DisposeAsync();
            return (null, new OperationFailure(
                FailureKind.PortTaken, $"the metrics cannot be served at {address}: {exception.Message}", "free it, or choose another with --metrics-address or 'telemetry.metrics-listen'"));
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync(CancellationToken.None);
        await _app.DisposeAsync();
    }

    /// <summary>The process waits for signals elsewhere.</summary>
    sealed class NoLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
