using Microsoft.Extensions.Logging;
using Tributary.Branching;
using Tributary.Contracts;
using Tributary.Server.Diagnosis;

namespace Tributary.Server.Hosting;

/// <summary>Asks production and the targets, before anything is made, whether they serve, and this disk whether it has room.</summary>
static class Preflight
{
    /// <summary>Everything that does not serve in one message; null when all does. What only warns is logged.</summary>
    public static async Task<OperationFailure?> RunAsync(TributaryConfiguration configuration, ILogger logger, CancellationToken cancellationToken)
    {
        var checks = await SourceChecks.RunAsync(configuration, cancellationToken);
        foreach (var warning in checks.Where(check => check.Outcome == CheckOutcome.Warning))
            Log.SourceWarning(logger, warning.Detail, warning.Fix);
        var failed = checks.Where(check => check.Outcome == CheckOutcome.Failed).ToList();
        if (failed.Count > 0)
        {
            return new OperationFailure(
                FailureKind.SourceUnsuitable, $"production does not serve yet: {string.Join("; ", failed.Select(check => check.Detail))}",
                string.Join('\n', failed.Select(check => check.Fix).OfType<string>().Distinct()));
        }

        var errors = new List<StreamFindingResponse>();
        void Take(string stream, IReadOnlyList<StreamFindingResponse> findings)
        {
            errors.AddRange(findings.Where(finding => finding.Severity == StreamFindingSeverity.Error));
            foreach (var warning in findings.Where(finding => finding.Severity == StreamFindingSeverity.Warning))
                Log.StreamWarning(logger, stream, warning.Subject, warning.Problem, StreamChecks.Mend(warning));
        }

        Take(IMainFeed.Name, await StreamChecks.OfMainAsync(configuration, cancellationToken));
        foreach (var stream in configuration.Streams)
            Take(stream.Name, (await StreamChecks.RunAsync(configuration.Production, stream, cancellationToken)).Findings);

        if (errors.Count == 0)
        {
            var full = (await SpaceChecks.RunAsync(configuration, cancellationToken)).FirstOrDefault(check => check.Outcome == CheckOutcome.Failed);
            return full is null ? null : new OperationFailure(FailureKind.NoSpace, full.Detail, full.Fix);
        }

        return new OperationFailure(
            errors[0].Side switch
            {
                StreamSide.Source => FailureKind.SourceUnsuitable,
                StreamSide.Target => FailureKind.TargetUnsuitable,
                StreamSide.Machine => FailureKind.MachineUnsuitable,
                _ => FailureKind.Configuration,
            },
            string.Join("; ", errors.Select(error => $"{error.Subject}: {error.Problem}").Distinct()),
            string.Join('\n', errors.Select(StreamChecks.Mend).Distinct()));
    }
}
