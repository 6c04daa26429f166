using OpenTelemetry.Metrics;
using Tributary.Contracts;

namespace Tributary.Server;

/// <summary>What the API shows and acts on.</summary>
/// <param name="Configuration">What the server was started with.</param>
/// <param name="StartedAt">When it was.</param>
/// <param name="Branching">Null when branching is off.</param>
/// <param name="Streams">The state of every stream now.</param>
/// <param name="Gateway">The state of the gateway now.</param>
/// <param name="Metrics">What <c>/metrics</c> answers with.</param>
/// <param name="Diagnose">Runs the checks of this machine and of production.</param>
/// <param name="RequestStop">Lets the server stop as a signal does; false when whoever runs it does not wait for that.</param>
sealed record ServerView(
    TributaryConfiguration Configuration,
    DateTimeOffset StartedAt,
    BranchingPart? Branching,
    Func<IReadOnlyList<StreamStatusResponse>> Streams,
    Func<GatewayStatusResponse> Gateway,
    MeterProvider Metrics,
    Func<CancellationToken, Task<DoctorResponse>> Diagnose,
    Func<bool> RequestStop);
