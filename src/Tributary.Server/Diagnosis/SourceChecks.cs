using Tributary.Branching;
using Tributary.Contracts;
using Tributary.Postgres;
using Tributary.Postgres.Programs;

namespace Tributary.Server.Diagnosis;

/// <summary>What production must allow.</summary>
static class SourceChecks
{
    /// <summary>Asks production and judges what it says.</summary>
    public static async Task<IReadOnlyList<DoctorCheck>> RunAsync(TributaryConfiguration configuration, CancellationToken cancellationToken)
    {
        if (configuration.Streams.Count == 0 && !configuration.FollowsProduction)
            return [.. OwnMain(configuration.Branching)];
        var (facts, failure) = await ProductionReader.ReadAsync(configuration.Production, tryPhysical: configuration.FollowsPhysically, cancellationToken);
        return facts is null ? [failure!] : Judge(facts, await ProductionReader.ReadMachineAsync(cancellationToken), configuration);
    }

    /// <summary>Judges the facts by what is to run; nothing is asked.</summary>
    public static IReadOnlyList<DoctorCheck> Judge(ProductionFacts facts, MachineFacts machine, TributaryConfiguration configuration) =>
    [
        new DoctorCheck(ProductionReader.CheckName, CheckOutcome.Ok, $"{configuration.Production} answers, PostgreSQL {facts.Version}"),
        Primary(facts.IsStandby),
        WalLevel(facts.WalLevel, configuration),
        Replication(configuration.Production, facts),
        FreeSlots(facts.FreeSlots, configuration, facts.Slots),
        FreeSenders(facts.FreeSenders, configuration),
        .. configuration switch
        {
            { FollowsPhysically: true } => CopyChecks.Judge(facts, machine, configuration.Production),
            { FollowsLogically: true } => LogicalChecks.Judge(facts, machine, configuration.Branching!),
            _ => OwnMain(configuration.Branching),
        },
    ];

    // Whoever asks for branches without production is told that none is looked at, and why.
    static IEnumerable<DoctorCheck> OwnMain(BranchingOptions? branching)
    {
        if (branching is null)
            yield break;
        const string Name = "main";
        var majors = PostgresInstallation.FindAll().Select(installation => installation.Major).ToList();
        yield return branching.OwnMajor is { } wanted && !majors.Contains(wanted)
            ? new DoctorCheck(Name, CheckOutcome.Failed, $"main is to be PostgreSQL {wanted}, which is not installed here", $"apt-get install postgresql-{wanted}, or name the folder of its programs in TRIBUTARY_POSTGRES_BIN")
            : new DoctorCheck(Name, CheckOutcome.Ok, "it is a Postgres of its own and follows no production (branching.following: none); what is in it comes by 'tributary branch import'");
    }

    static DoctorCheck Primary(bool isStandby) => isStandby
        ? new DoctorCheck("production is a primary", CheckOutcome.Failed, "the URL leads to a standby", "name the primary")
        : new DoctorCheck("production is a primary", CheckOutcome.Ok, "it takes writes");

    static DoctorCheck WalLevel(string level, TributaryConfiguration configuration)
    {
        var streams = configuration.Streams.Count > 0 || configuration.FollowsLogically;
        var serves = level == "logical" || (level == "replica" && !streams);
        return new DoctorCheck(
            "wal_level", serves ? CheckOutcome.Ok : CheckOutcome.Failed, $"wal_level is {level}{(serves ? "" : $"; {(configuration.Streams.Count > 0 ? "streams need logical" : streams ? "a main that is streamed into needs logical" : "branches need replica or logical")}")}",
            serves ? null : "on production: ALTER SYSTEM SET wal_level = 'logical'; then restart its server");
    }

    static DoctorCheck Replication(PostgresUrl source, ProductionFacts facts) => facts.MayReplicate
        ? new DoctorCheck("replication right", CheckOutcome.Ok, $"{source.User} may replicate{(facts.IsSuperuser ? ", as a superuser" : "")}")
        : new DoctorCheck("replication right", CheckOutcome.Failed, $"{source.User} may not replicate", $"on production, as a superuser: ALTER ROLE {SqlQuoting.Identifier(source.User)} REPLICATION;");

    static DoctorCheck FreeSlots(int free, TributaryConfiguration configuration, IReadOnlyCollection<string> existing)
    {
        // A slot that is ours from an earlier run is counted as used already.
        string[] wanted = [.. configuration.Streams.Select(stream => $"tributary_{stream.Name}"), .. configuration.FollowsProduction ? [configuration.Branching!.SlotName] : Array.Empty<string>()];
        var needed = wanted.Except(existing).Count();
        return Free("replication slots", "max_replication_slots", free, needed);
    }

    // A base backup, and a first copy of the rows, take two connections beside the streams'.
    static DoctorCheck FreeSenders(int free, TributaryConfiguration configuration) =>
        Free("wal senders", "max_wal_senders", free, configuration.Streams.Count + (configuration.FollowsProduction ? 2 : 0));

    static DoctorCheck Free(string name, string setting, int free, int needed) => free >= needed
        ? new DoctorCheck(name, CheckOutcome.Ok, $"{free} free, {needed} needed")
        : new DoctorCheck(name, CheckOutcome.Failed, $"{free} free, {needed} needed", $"on production: raise {setting}, then restart its server; or drop what is unused");
}
