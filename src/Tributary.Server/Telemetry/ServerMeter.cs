using System.Diagnostics.Metrics;
using Tributary.Branching;
using Tributary.Gateway;

namespace Tributary.Server.Telemetry;

/// <summary>The figures of the gateway and of branching, on meters named after them; read from what these tell of themselves when somebody asks.</summary>
sealed class ServerMeter : IDisposable
{
    public const string GatewayName = "Tributary.Gateway";
    public const string BranchingName = "Tributary.Branching";

    readonly Meter _gateway = new(GatewayName);
    readonly Meter _branching = new(BranchingName);

    /// <summary>Whether a meter has figures of the kind of these, but of another server.</summary>
    public bool IsOfAnother(Meter meter) => meter.Name is GatewayName or BranchingName && meter != _gateway && meter != _branching;

    public void Show(GatewayListener listener)
    {
        _gateway.CreateObservableGauge("tributary.gateway.connections", () => listener.Status.SessionsNow, null, "Client connections that are open.");
        Counter("connections_opened", "Client connections since the start.", static status => status.SessionsTotal);
        Counter("cancel_requests", "Cancel requests.", static status => status.CancelRequests);
        _gateway.CreateObservableCounter("tributary.gateway.failures", () => Failures(listener.Status), null, "Connections that came to nothing, by reason.");
        _gateway.CreateObservableCounter("tributary.gateway.relayed_bytes", () => Relayed(listener.Status), "By", "Bytes relayed after authentication, by direction.");

        void Counter(string name, string description, Func<GatewayStatus, long> read) =>
            _gateway.CreateObservableCounter($"tributary.gateway.{name}", () => read(listener.Status), null, description);
    }

    /// <param name="made">Hears how long each branch took to make.</param>
    public void Show(BranchManager manager, RecentTimes made)
    {
        _branching.CreateObservableGauge("tributary.branching.branches", () => Branches(manager.Status), null, "Branches, by state.");
        _branching.CreateObservableGauge("tributary.branching.seeds", () => manager.Status.Seeds.Count, null, "Seeds that are kept.");
        _branching.CreateObservableCounter("tributary.branching.creates", () => made.Count, null, "Branches that were made since the start.");
        _branching.CreateObservableUpDownCounter(
            "tributary.branching.run_seconds", () => ByOwner(manager, static usage => usage.RunTime.TotalSeconds), "s", "How long the servers of the branches that exist have run, by owner.");
        _branching.CreateObservableUpDownCounter(
            "tributary.branching.cpu_seconds", () => ByOwner(manager, static usage => usage.CpuTime.TotalSeconds), "s", "Processor time of the servers of the branches that exist, by owner.");
        _branching.CreateObservableUpDownCounter(
            "tributary.branching.connections", () => ByOwner(manager, static usage => usage.Connections), null, "Connections that the branches that exist have had, by owner.");
        var durations = _branching.CreateHistogram(
            "tributary.branching.create_seconds", "s", "How long a branch took to make, as its requester saw it.",
            advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60] });
        made.Added = time => durations.Record(time.TotalSeconds);
    }

    public void Dispose()
    {
        _gateway.Dispose();
        _branching.Dispose();
    }

    static Measurement<long>[] Failures(GatewayStatus status) =>
    [
        new(status.SessionsRefused, new KeyValuePair<string, object?>("reason", "refused")),
        new(status.AuthenticationFailures, new KeyValuePair<string, object?>("reason", "authentication")),
        new(status.WakeFailures, new KeyValuePair<string, object?>("reason", "wake")),
    ];

    static Measurement<long>[] Relayed(GatewayStatus status) =>
    [
        new(status.BytesFromClients, new KeyValuePair<string, object?>("direction", "to_branch")),
        new(status.BytesToClients, new KeyValuePair<string, object?>("direction", "to_client")),
    ];

    // They go down when a branch is deleted: what is gone is nobody's account any more.
    static IEnumerable<Measurement<double>> ByOwner(BranchManager manager, Func<ComputeUsage, double> read) => manager.List()
        .GroupBy(static branch => branch.Policy.Owner ?? "")
        .Select(owner => new Measurement<double>(owner.Sum(branch => read(branch.Usage)), new KeyValuePair<string, object?>("owner", owner.Key)));

    static Measurement<int>[] Branches(BranchingStatus status) =>
    [
        new(status.Running, new KeyValuePair<string, object?>("state", "running")),
        new(status.Branches - status.Running, new KeyValuePair<string, object?>("state", "asleep")),
    ];
}
