using System.Net;
using Tributary.Branching;
using Tributary.Contracts;
using Tributary.Postgres;

namespace Tributary.Server.Diagnosis;

/// <summary>What was found of a Postgres that is to be followed, and what is proposed.</summary>
/// <param name="Machine">The checks of this machine.</param>
/// <param name="Production">The checks of production, and of the room for a copy of it.</param>
/// <param name="Configuration">What would run by the proposal.</param>
public sealed record SurveyResult(
    IReadOnlyList<DoctorCheck> Machine, IReadOnlyList<DoctorCheck> Production, FollowingProposalResponse Proposal, TributaryConfiguration Configuration);

/// <summary>Looks at a Postgres and at this machine, changes nothing, and proposes a configuration.</summary>
public static class SourceSurvey
{
    /// <returns>What was found, or the one check that failed when production does not answer.</returns>
    public static async Task<(SurveyResult? Found, DoctorCheck? Failure)> RunAsync(PostgresUrl source, string stateDirectory, IPEndPoint listen, CancellationToken cancellationToken)
    {
        var (facts, failure) = await ProductionReader.ReadAsync(source, tryPhysical: true, cancellationToken);
        if (facts is null)
            return (null, failure);
        var bytes = await SpaceChecks.ProductionBytesAsync(source, cancellationToken);
        var configuration = Propose(facts, bytes, source, stateDirectory, listen);
        var here = await ProductionReader.ReadMachineAsync(cancellationToken);
        var production = SourceChecks.Judge(facts, here, configuration);
        var streamed = configuration with { Branching = configuration.Branching! with { Following = FollowingMode.Logical } };
        var logical = SourceChecks.Judge(facts, here, streamed);
        if (Serves(logical) && !Serves(production))
            logical = [.. logical, .. await StreamChecks.DiagnoseAsync(streamed, productionServes: true, cancellationToken)];
        var proposal = FollowingProposal.Of(facts, production, logical);
        if (proposal.Mode == "logical")
            (configuration, production) = (streamed, logical);
        var machine = (await MachineChecks.RunAsync(stateDirectory, cancellationToken)).Append(MachineChecks.GatewayPort(listen));
        DoctorCheck[] room = bytes is { } known && !configuration.HasCatalog ? [SpaceChecks.Judge(configuration, known, MachineChecks.FreeBytes(stateDirectory))] : [];
        return (new SurveyResult([.. machine, .. room], production, proposal, configuration), null);
    }

    static bool Serves(IReadOnlyList<DoctorCheck> checks) => checks.All(check => check.Outcome != CheckOutcome.Failed);

    static TributaryConfiguration Propose(ProductionFacts facts, long? bytes, PostgresUrl source, string stateDirectory, IPEndPoint listen)
    {
        var branching = new BranchingOptions { StateDirectory = stateDirectory, Source = source };
        var configuration = new TributaryConfiguration
        {
            StateDirectory = stateDirectory,
            Source = source,
            Gateway = new GatewayConfiguration { Listen = listen },
            Api = new ApiConfiguration { Socket = TributaryConfiguration.DefaultSocket(stateDirectory) },
        };
        return configuration with
        {
            Branching = branching with
            {
                SlotName = FollowingProposal.SlotName(branching.SlotName, facts.Slots, configuration.HasCatalog),
                PoolBytesMax = FollowingProposal.PoolBytes(branching.PoolBytesMax, bytes, MachineChecks.FreeBytes(stateDirectory)),
            },
        };
    }
}
