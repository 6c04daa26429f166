using Tributary.Branching;
using Tributary.Contracts;

namespace Tributary.Server.Hosting;

/// <summary>Mends the state folder of a stopped server: <c>tributary doctor --repair</c>.</summary>
public static class ServerRepair
{
    public static async Task<(RepairResponse? Repaired, OperationFailure? Failure)> RunAsync(
        TributaryConfiguration configuration, TimeProvider timeProvider, CancellationToken cancellationToken)
    {
        if (configuration.Branching is not { } options)
            return (null, new OperationFailure(FailureKind.Configuration, "there is no 'branching:' in the configuration, so there is no catalog to repair"));
        if (!Directory.Exists(options.StateDirectory))
            return (null, new OperationFailure(FailureKind.StateUnusable, $"there is no state folder {options.StateDirectory}", "name it with --state or 'state:'"));
        using var stateLock = StateLock.TryTake(options.StateDirectory, out var held);
        if (stateLock is null)
            return (null, held!.Kind == FailureKind.AlreadyRunning ? held with { Hint = "stop it first: a server in use cannot be repaired" } : held);
        var repaired = await CatalogRepair.RunAsync(options, timeProvider, cancellationToken);
        return repaired.Value is { } report
            ? (new RepairResponse(
                report.Rebuilt, report.SetAside, report.Branches, report.Seeds, [.. report.LeftOut.Select(lost => new RepairLoss(lost.What, lost.Reason))],
                report.KeptAside, report.Ended), null)
            : (null, new OperationFailure(FailureKind.StateUnusable, repaired.Error!.Message));
    }
}
