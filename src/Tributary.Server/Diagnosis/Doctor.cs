using Tributary.Branching;
using Tributary.Contracts;

namespace Tributary.Server.Diagnosis;

/// <summary>Checks what a server needs: this machine, then production, then the targets. Each check stands alone and changes nothing.</summary>
public static class Doctor
{
    /// <param name="configuration">What is to run; null checks the machine with the defaults and no production.</param>
    /// <param name="stateDirectory">Where the server's state is, or would be.</param>
    /// <param name="running">The server runs already, so that its own port is taken by itself.</param>
    public static async Task<DoctorResponse> RunAsync(TributaryConfiguration? configuration, string stateDirectory, bool running, CancellationToken cancellationToken)
    {
        var checks = new List<DoctorCheck>(await MachineChecks.RunAsync(stateDirectory, cancellationToken));
        if (!running)
            checks.Add(MachineChecks.GatewayPort(configuration?.Gateway.Listen ?? new GatewayConfiguration().Listen));
        if (configuration is not null)
        {
            var production = await SourceChecks.RunAsync(configuration, cancellationToken);
            checks.AddRange(production);
            if (configuration.Branching is { } branching)
                checks.Add(await PoolAsync(branching, cancellationToken));
            checks.AddRange(await SpaceChecks.RunAsync(configuration, cancellationToken));
            checks.AddRange(await StreamChecks.DiagnoseAsync(configuration, production.All(check => check.Outcome != CheckOutcome.Failed), cancellationToken));
        }

        return new DoctorResponse(checks);
    }

    static async Task<DoctorCheck> PoolAsync(BranchingOptions branching, CancellationToken cancellationToken)
    {
        const string Name = "pool";
        var faults = await PoolChecks.RunAsync(branching, cancellationToken);
        var description = await PoolChecks.DescribeAsync(branching, cancellationToken);
        return faults.Count == 0
            ? new DoctorCheck(Name, CheckOutcome.Ok, description ?? "no fault is known")
            : new DoctorCheck(Name, CheckOutcome.Warning, string.Join("; ", faults.Prepend(description).OfType<string>()), "do what is said above, or choose another place with 'branching.pool'");
    }
}
