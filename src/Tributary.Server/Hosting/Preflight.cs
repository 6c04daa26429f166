using Tributary.Contracts;
using Tributary.Postgres;
using Tributary.Server.Diagnosis;
using Tributary.Streaming;

namespace Tributary.Server.Hosting;

/// <summary>Asks production and the targets, before anything is made, whether they serve.</summary>
static class Preflight
{
    public static StreamOptions Options(PostgresUrl source, StreamConfiguration stream) => new() { Name = stream.Name, Source = source, Target = stream.Target };

    /// <summary>Everything that does not serve in one message; null when all does.</summary>
    public static async Task<StartupFailure?> RunAsync(TributaryConfiguration configuration, CancellationToken cancellationToken)
    {
        var failed = (await SourceChecks.RunAsync(configuration, cancellationToken)).Where(check => check.Outcome == CheckOutcome.Failed).ToList();
        return failed.Count == 0 ? null : new StartupFailure(
            StartupFailureKind.SourceUnsuitable, $"production does not serve yet: {string.Join("; ", failed.Select(check => check.Detail))}",
            string.Join('\n', failed.Select(check => check.Fix).OfType<string>().Distinct()));
    }
}
