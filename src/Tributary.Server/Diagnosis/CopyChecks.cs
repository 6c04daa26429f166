using Tributary.Contracts;
using Tributary.Postgres;

namespace Tributary.Server.Diagnosis;

/// <summary>What a physical copy of production needs beside the rights: an open door, the same programs, and data that means the same here.</summary>
static class CopyChecks
{
    public static IEnumerable<DoctorCheck> Judge(ProductionFacts facts, MachineFacts machine, PostgresUrl source) =>
    [
        .. Entry(facts, source),
        SameMajor(facts.Major, machine),
        Tablespaces(facts.Tablespaces),
        Checksums(facts.HasChecksums),
        Collation(facts, machine.LibcVersion),
        .. ExtensionChecks.Compare(facts.Major, facts.Extensions, facts.PreloadedLibraries ?? ""),
        .. Preloaded(facts.PreloadedLibraries, source),
    ];

    static IEnumerable<DoctorCheck> Entry(ProductionFacts facts, PostgresUrl source)
    {
        const string Name = "replication connection";
        if (facts is { MayReplicate: false } or { FreeSenders: <= 0 })
            yield break;
        var line = facts.ClientAddress is { } address
            ? $"host replication {SqlQuoting.Identifier(source.User)} {address}/{(address.Contains(':', StringComparison.Ordinal) ? 128 : 32)} scram-sha-256"
            : $"local replication {SqlQuoting.Identifier(source.User)} scram-sha-256";
        yield return facts.PhysicalRefusal is { } refusal
            ? new DoctorCheck(Name, CheckOutcome.Failed, $"production refuses a connection for replication: {refusal}", $"on production, in pg_hba.conf: {line} – then SELECT pg_reload_conf();")
            : new DoctorCheck(Name, CheckOutcome.Ok, "production lets a connection for replication in");
    }

    // A standby by physical replication has the source's own major version: https://www.postgresql.org/docs/current/warm-standby.html
    static DoctorCheck SameMajor(int major, MachineFacts machine) => machine.Majors.Contains(major)
        ? new DoctorCheck("same version here", CheckOutcome.Ok, $"PostgreSQL {major} is installed here too")
        : new DoctorCheck("same version here", CheckOutcome.Failed, $"production is PostgreSQL {major}, which is not installed here; branches run its very version", $"apt-get install postgresql-{major}, or name the folder of its programs in TRIBUTARY_POSTGRES_BIN");

    // A clone of the data directory would hold links to the tablespaces' folders, so that all branches would write into the same files.
    static DoctorCheck Tablespaces(IReadOnlyList<string> names) => names.Count == 0
        ? new DoctorCheck("tablespaces", CheckOutcome.Ok, "all data is in production's data directory")
        : new DoctorCheck(
            "tablespaces", CheckOutcome.Failed, $"production keeps data outside its data directory, in {(names.Count == 1 ? "the tablespace" : "the tablespaces")} {string.Join(", ", names)}; clones of main would share those files",
            "on production: move what is in them (ALTER DATABASE … SET TABLESPACE pg_default, ALTER TABLE ALL IN TABLESPACE … SET TABLESPACE pg_default), then DROP TABLESPACE");

    static DoctorCheck Checksums(bool on) => on
        ? new DoctorCheck("data checksums", CheckOutcome.Ok, "on, so that main and branches notice damage on this machine's disk")
        : new DoctorCheck("data checksums", CheckOutcome.Warning, "off on production, and so in main and branches: damage on this machine's disk goes unnoticed", "on production, with its server stopped: pg_checksums --enable");

    // An index on text is sorted as the library of the machine that made it sorts. Under another version it may answer wrongly, and a unique
    // one may let a row in twice (https://wiki.postgresql.org/wiki/Locale_data_changes).
    static DoctorCheck Collation(ProductionFacts facts, string? libcHere)
    {
        const string Name = "order of text";
        var what = $"{facts.Encoding}, {facts.Collation}, sorted by {facts.CollationProvider}";
        return facts switch
        {
            { CollationProvider: "icu" } => new DoctorCheck(Name, CheckOutcome.Ok, $"{what} {facts.CollationVersion}; a branch warns on connection when PostgreSQL here has another version"),
            { CollationVersion: null } => new DoctorCheck(Name, CheckOutcome.Ok, what),
            { CollationProvider: "libc", CollationVersion: var there } when libcHere is not null && there != libcHere => new DoctorCheck(
                Name, CheckOutcome.Warning, $"{what} {there}, and this machine has {libcHere}: indexes on text may answer wrongly in branches",
                "follow from a machine with the release of the operating system that production has; or REINDEX in a branch what it searches by text"),
            _ => new DoctorCheck(Name, CheckOutcome.Ok, $"{what} {facts.CollationVersion}, as here"),
        };
    }

    static IEnumerable<DoctorCheck> Preloaded(string? libraries, PostgresUrl source)
    {
        if (libraries is null)
        {
            yield return new DoctorCheck(
                "preloaded libraries", CheckOutcome.Warning, $"{source.User} may not read which libraries production preloads, so whether this machine has them is not known",
                $"on production, as a superuser: GRANT pg_read_all_settings TO {SqlQuoting.Identifier(source.User)};");
        }
    }
}
