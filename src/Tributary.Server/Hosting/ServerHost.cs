using Microsoft.Extensions.Logging;
using Tributary.Branching;
using Tributary.Contracts;
using Tributary.Gateway;
using Tributary.Server.Adapters;
using Tributary.Server.Api;
using Tributary.Server.Diagnosis;
using Tributary.Server.Telemetry;
using Tributary.Streaming.Hosting;

namespace Tributary.Server.Hosting;

/// <summary>
/// The composition root: everything that <c>tributary up</c> runs, in one process.
/// <code>
/// 1. lock the state folder      one server a folder
/// 2. ask production, targets    what they lack is said before anything is made
/// 3. open branching             pool and catalog, mended after a crash
/// 4. bind the gateway           a taken port is a failure to start, not a part that fails later
/// 5. serve the API              on its Unix socket
/// 6. run the parts              each under its own supervision
/// </code>
/// A step that fails undoes the ones before it. Stopping goes gateway, streams, branching, API: no new sessions, then no new changes, then
/// no branches, and whoever watches sees it to the end.
/// </summary>
public sealed class ServerHost : IAsyncDisposable
{
    readonly ILoggerFactory _loggerFactory;
    readonly ILogger _logger;
    readonly TimeProvider _timeProvider;
    readonly List<StreamPart> _streams = [];
    readonly ServerMeter _meter = new();
    readonly TaskCompletionSource _end = new(TaskCreationOptions.RunContinuationsAsynchronously);
    StateLock? _lock;
    BranchingPart? _branching;
    StreamMainFeed? _feed;
    GatewayPart? _gateway;
    ApiHost? _api;
    MetricsListener? _metrics;
    Exporters? _exporters;
    bool _hadState;
    volatile bool _runs;

    ServerHost(TributaryConfiguration configuration, TimeProvider timeProvider, ILoggerFactory loggerFactory)
    {
        Configuration = configuration;
        _timeProvider = timeProvider;
        _loggerFactory = loggerFactory;
        _logger = loggerFactory.CreateLogger<ServerHost>();
    }

    public TributaryConfiguration Configuration { get; }

    /// <summary>Where branches are reached; null when branching is off.</summary>
    public int? GatewayPort => _gateway?.Status().Port;

    /// <summary>Starts a server. On failure the answer says why, and nothing of it is left behind; on success the caller disposes the host.</summary>
    public static async Task<(ServerHost? Host, OperationFailure? Failure)> StartAsync(
        TributaryConfiguration configuration, TimeProvider timeProvider, ILoggerFactory loggerFactory, CancellationToken cancellationToken)
    {
        var host = new ServerHost(configuration, timeProvider, loggerFactory);
        var started = false;
        try
        {
            var failure = await host.StartAsync(cancellationToken);
            started = failure is null;
            return started ? (host, null) : (null, failure);
        }
        finally
        {
            if (!started)
                await host.UndoAsync();
        }
    }

    /// <summary>Runs until cancelled, or until the API is asked to stop the server, then stops everything in order.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        _runs = true;
        await using (cancellationToken.Register(() => _end.TrySetResult()))
            await _end.Task;
        await StopAsync();
    }

    /// <summary>Stops everything in order; a second call does nothing.</summary>
    public async Task StopAsync()
    {
        if (_lock is null)
            return;
        await StopPartsAsync();
        _lock.Dispose();
        _lock = null;
        Log.Stopped(_logger);
    }

    public async ValueTask DisposeAsync() => await StopAsync();

    async Task StopPartsAsync()
    {
        await (_gateway?.DisposeAsync() ?? default);
        // Requests that are at work are let end before what they work on is gone, or their clients would not know what became of them.
        await (_api?.DisposeAsync() ?? default);
        await Task.WhenAll(_streams.Select(stream => stream.DisposeAsync().AsTask()));
        await (_branching?.DisposeAsync() ?? default);
        await (_metrics?.DisposeAsync() ?? default);
        _exporters?.Dispose();
        _meter.Dispose();
    }

    async Task<OperationFailure?> StartAsync(CancellationToken cancellationToken)
    {
        // A server's standard output says what runs; lines among that would serve nobody.
        if (Configuration.Streams.FirstOrDefault(stream => stream.Target is StdoutTargetConfiguration) is { } lines)
        {
            return new OperationFailure(
                FailureKind.Configuration, $"the stream '{lines.Name}' writes to standard output, which a server does not offer",
                $"run it by itself: tributary stream run {lines.Name}");
        }

        // Step 1: lock the state folder.
        _lock = StateLock.TryTake(Configuration.StateDirectory, out var lockFailure);
        if (lockFailure is not null)
            return lockFailure;

        _hadState = Configuration.Branching is { } kept && BranchingRemoval.HasState(kept);

        // Step 2: ask production and the targets. A state folder that has followed production before goes on without them: branches work
        // while production is down, and each part waits for what it needs by itself.
        if (await Preflight.RunAsync(Configuration, _logger, cancellationToken) is { } unsuitable)
        {
            if (!Configuration.HasCatalog)
                return unsuitable;
            Log.Unsuitable(_logger, unsuitable.Message);
        }

        // Step 3: open branching.
        if (Configuration.Branching is { } options && await OpenBranchingAsync(options, cancellationToken) is { } notOpened)
            return notOpened;

        // Step 4: bind the gateway.
        if (_branching is not null && await BindGatewayAsync(_branching.Manager, cancellationToken) is { } notBound)
            return notBound;
        foreach (var stream in Configuration.Streams)
            _streams.Add(new StreamPart(stream, StreamFactory.Create(stream.Options(Configuration.Production), _timeProvider, _loggerFactory), _timeProvider, _logger));

        // Step 5: serve the API, and the metrics at an address of their own when one is configured.
        _exporters = Exporters.Start(_meter, Configuration.Telemetry.OtlpEndpoint);
        if (Configuration.Telemetry.MetricsListen is { } address)
        {
            (_metrics, var taken) = await MetricsListener.StartAsync(address, _exporters.Metrics, _loggerFactory, cancellationToken);
            if (taken is not null)
                return taken;
        }

        (_api, var notServed) = await ApiHost.StartAsync(View(), _timeProvider, _loggerFactory, cancellationToken);
        if (notServed is not null)
            return notServed;

        // Step 6: run the parts.
        _branching?.Start();
        _streams.ForEach(static stream => stream.Start());
        _gateway?.Start();
        Log.Started(_logger, ProductVersion.Text, Configuration.StateDirectory, Configuration.Api.Socket);
        return null;
    }

    async Task<OperationFailure?> OpenBranchingAsync(BranchingOptions options, CancellationToken cancellationToken)
    {
        _feed = options.Following == FollowingMode.Logical ? new StreamMainFeed(options, _timeProvider, _loggerFactory) : null;
        var opened = await BranchManager.OpenAsync(options, _feed, _timeProvider, _loggerFactory, cancellationToken);
        if (opened.Succeeded)
        {
            _branching = new BranchingPart(opened.Value, options, _timeProvider, _logger);
            _meter.Show(opened.Value, _branching.CreateTimes);
            return null;
        }

        var kind = opened.Error.Kind switch
        {
            BranchErrorKind.PoolFull => FailureKind.NoSpace,
            BranchErrorKind.SourceUnsuitable => FailureKind.SourceUnsuitable,
            BranchErrorKind.InvalidRequest => FailureKind.Configuration,
            BranchErrorKind.CatalogDamaged => FailureKind.StateUnusable,
            _ => FailureKind.MachineUnsuitable,
        };
        return new OperationFailure(
            kind, opened.Error.Message,
            kind == FailureKind.StateUnusable ? "'tributary doctor --repair' sets the damaged catalog aside; no volume is deleted" : "'tributary doctor' checks the machine and production");
    }

    async Task<OperationFailure?> BindGatewayAsync(BranchManager manager, CancellationToken cancellationToken)
    {
        var listener = new GatewayListener(GatewayPart.Options(Configuration.Gateway), new BranchUpstreamResolver(manager), _timeProvider, _loggerFactory);
        _gateway = new GatewayPart(Configuration.Gateway, listener, _timeProvider, _logger);
        _meter.Show(listener);
        var bound = await listener.BindAsync(cancellationToken);
        if (bound.Succeeded)
            return null;
        // A port that is free after all means that the certificate was the trouble.
        var portServes = MachineChecks.GatewayPort(Configuration.Gateway.Listen).Outcome == CheckOutcome.Ok;
        return new OperationFailure(
            portServes ? FailureKind.BadCertificate : FailureKind.PortTaken, bound.Error!,
            portServes ? "check tls-certificate and tls-key under 'gateway:'" : "choose another address with --listen or 'gateway.listen'");
    }

    ServerView View() => new(
        Configuration, _timeProvider.GetUtcNow(), _branching,
        Streams: () => [.. _feed is { } feed ? [feed.View()] : Array.Empty<StreamStatusResponse>(), .. _streams.Select(stream => stream.Status())],
        Gateway: () => _gateway?.Status() ?? new GatewayStatusResponse { State = PartState.Off },
        Metrics: _exporters!.Metrics,
        Diagnose: cancellationToken => Doctor.RunAsync(Configuration, Configuration.StateDirectory, running: true, cancellationToken),
        RequestStop: () => _runs && (_end.TrySetResult() || true));

    async Task UndoAsync()
    {
        if (_lock is not { } stateLock)
            return;
        await StopPartsAsync();
        // Nothing has followed production yet, so what this start made is empty; what an earlier one made stays.
        if (!_hadState && Configuration.Branching is { } options && await BranchingRemoval.RemoveStateAsync(options, CancellationToken.None) is { } left)
            Log.NotUndone(_logger, left.Message);
        stateLock.Dispose();
        stateLock.RemoveFolderIfMade();
    }
}
