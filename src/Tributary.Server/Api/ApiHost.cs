using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Diagnostics;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Tributary.Contracts;

namespace Tributary.Server.Api;

/// <summary>
/// The REST API on a Unix socket, and on loopback when that is configured. The socket's file is open to its owner only from before the
/// first connection can be made: its mode is set between bind and listen.
/// </summary>
sealed class ApiHost : IAsyncDisposable
{
    /// <summary>How long requests at work may take when the server stops: a branch is made in a second; one that waits for production is given up.</summary>
    static readonly TimeSpan ShutdownTimeout = TimeSpan.FromSeconds(5);

    /// <summary>Requests hold names and numbers; this is generous for them and keeps a stray upload out of memory.</summary>
    const long RequestBytesMax = 64 * 1024;

    readonly WebApplication _app;
    readonly string _socket;

    ApiHost(WebApplication app, string socket)
    {
        _app = app;
        _socket = socket;
    }

    /// <summary>Starts to listen; on failure says why and leaves nothing behind. The caller holds the state folder's lock.</summary>
    public static async Task<(ApiHost? Host, OperationFailure? Failure)> StartAsync(
        ServerView view, TimeProvider timeProvider, ILoggerFactory loggerFactory, CancellationToken cancellationToken)
    {
        var api = view.Configuration.Api;
        if (await IsAliveAsync(api.Socket, cancellationToken))
            return (null, new OperationFailure(FailureKind.AlreadyRunning, $"another server listens on {api.Socket}", "stop it first, or name another socket with --socket or 'api.socket'"));
        // The socket of a server that was killed stays behind and would fail the bind; nobody listens on it.
        File.Delete(api.Socket);
        var app = Build(view, timeProvider, loggerFactory);
        try
        {
            await app.StartAsync(cancellationToken);
            return (new ApiHost(app, api.Socket), null);
        }
        catch (Exception exception) when (exception is IOException or SocketException or UnauthorizedAccessException)
        {
            await app.DisposeAsync();
            File.Delete(api.Socket);
            var taken = exception is IOException { InnerException: Microsoft.AspNetCore.Connections.AddressInUseException };
            return (null, taken
                ? new OperationFailure(FailureKind.PortTaken, $"the API cannot listen on {api.Listen}: the port is taken", "free it, or choose another with 'api.listen'")
                : new OperationFailure(FailureKind.StateUnusable, $"the API cannot listen on {api.Socket}: {exception.Message}", "name another socket with --socket or 'api.socket'"));
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync(CancellationToken.None);
        await _app.DisposeAsync();
        File.Delete(_socket);
    }

    static WebApplication Build(ServerView view, TimeProvider timeProvider, ILoggerFactory loggerFactory)
    {
        // Empty: no appsettings.json of whatever folder we run in, no ASPNETCORE_ variables, no signal handlers; the host owns all of that.
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ApplicationName = "tributary", ContentRootPath = AppContext.BaseDirectory });
        builder.Services.AddSingleton(loggerFactory);
        builder.Services.AddRoutingCore();
        builder.Services.Configure<HostOptions>(static options => options.ShutdownTimeout = ShutdownTimeout);
        builder.Services.ConfigureHttpJsonOptions(options => options.SerializerOptions.TypeInfoResolverChain.Insert(0, ContractsJson.Default));
        // Else a body that does not read is answered by a bare status, without what is wrong with it.
        builder.Services.Configure<RouteHandlerOptions>(options => options.ThrowOnBadRequest = true);
        builder.Services.AddSingleton<IHostLifetime, NoLifetime>();
        builder.WebHost.UseKestrelCore().ConfigureKestrel(options =>
        {
            options.AddServerHeader = false;
            options.Limits.MaxRequestBodySize = RequestBytesMax;
            options.ListenUnixSocket(view.Configuration.Api.Socket);
            if (view.Configuration.Api.Listen is { } listen)
                options.Listen(listen);
        });
        builder.Services.Configure<SocketTransportOptions>(options => options.CreateBoundListenSocket = BindPrivately);
        var app = builder.Build();
        app.UseExceptionHandler(new ExceptionHandlerOptions { ExceptionHandler = context => AnswerFailureAsync(context, loggerFactory.CreateLogger<ApiHost>()), SuppressDiagnosticsCallback = static _ => true });
        app.UseOpenTelemetryPrometheusScrapingEndpoint(view.Metrics, predicate: null, path: "/metrics", configureBranchedPipeline: null, optionsName: null);
        app.UseRouting();
        new ServerEndpoints(view, timeProvider).Map(app);
        new BranchLogEndpoint(view, timeProvider).Map(app);
        new BranchLifeEndpoints(view).Map(app);
        new ImportEndpoint(view).Map(app);
        new BranchEndpoints(view, timeProvider, loggerFactory.CreateLogger<BranchEndpoints>()).Map(app);
        app.MapFallback(static (HttpContext context) => Problems.Result(
            new ProblemResponse("Not found", StatusCodes.Status404NotFound, $"there is no {context.Request.Method} {context.Request.Path}", ProblemCodes.NotFound)));
        return app;
    }

    static Socket BindPrivately(EndPoint endPoint)
    {
        var socket = SocketTransportOptions.CreateDefaultBoundListenSocket(endPoint);
        if (endPoint is UnixDomainSocketEndPoint)
            File.SetUnixFileMode(endPoint.ToString()!, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return socket;
    }

    static async Task AnswerFailureAsync(HttpContext context, ILogger logger)
    {
        var exception = context.Features.Get<IExceptionHandlerFeature>()?.Error;
        // A body that is not the JSON of the request is the client's mistake, not a failure of ours.
        var problem = exception is BadHttpRequestException bad
            ? Problems.Invalid($"the request's body does not read: {bad.InnerException?.Message ?? bad.Message}")
            : new ProblemResponse("Internal error", StatusCodes.Status500InternalServerError, "the server failed on this request", ProblemCodes.InternalError, "its log tells more");
        if (problem.Status == StatusCodes.Status500InternalServerError && exception is not null)
            Log.RequestFailed(logger, context.Request.Method, context.Request.Path, exception);
        context.Response.StatusCode = problem.Status;
        await Problems.Result(problem).ExecuteAsync(context);
    }

    static async Task<bool> IsAliveAsync(string socket, CancellationToken cancellationToken)
    {
        using var probe = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await probe.ConnectAsync(new UnixDomainSocketEndPoint(socket), cancellationToken);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    /// <summary>The web host neither waits for signals nor prints: both are the command line's.</summary>
    sealed class NoLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
