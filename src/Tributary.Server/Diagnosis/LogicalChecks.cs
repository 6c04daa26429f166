using Tributary.Branching;
using Tributary.Contracts;

namespace Tributary.Server.Diagnosis;

/// <summary>What a main that production is streamed into needs beside the rights: a Postgres here that takes production's schema.</summary>
static class LogicalChecks
{
    public static IEnumerable<DoctorCheck> Judge(ProductionFacts facts, MachineFacts machine, BranchingOptions branching)
    {
        const string Name = "version of main";
        if (machine.Majors.Count == 0)
        {
            yield return new DoctorCheck(Name, CheckOutcome.Failed, "no PostgreSQL is installed here for main to be made with", $"apt-get install postgresql-{facts.Major}, or name the folder of its programs in TRIBUTARY_POSTGRES_BIN");
            yield break;
        }

        var major = branching.MajorBeside(facts.Major, machine.Majors);
        if (!machine.Majors.Contains(major))
            yield return new DoctorCheck(Name, CheckOutcome.Failed, $"main is to be PostgreSQL {major}, which is not installed here", $"apt-get install postgresql-{major}, or name the folder of its programs in TRIBUTARY_POSTGRES_BIN");
        else if (major < facts.Major)
            yield return new DoctorCheck(Name, CheckOutcome.Warning, $"main is PostgreSQL {major} and production {facts.Major}; a schema that uses what is new there cannot be made in main", $"apt-get install postgresql-{facts.Major}");
        else
            yield return new DoctorCheck(Name, CheckOutcome.Ok, major == facts.Major ? $"main is PostgreSQL {major}, as production is" : $"main is PostgreSQL {major} and production {facts.Major}; rows are streamed across versions");

        // The first copy makes the extensions in main, so that one that is missing ends it. Main preloads nothing.
        foreach (var check in ExtensionChecks.Compare(major, facts.Extensions, preloaded: ""))
        {
            yield return check.Outcome == CheckOutcome.Warning
                ? check with { Outcome = CheckOutcome.Failed, Detail = $"production uses the {check.Name}, which PostgreSQL {major} here lacks, so that its schema cannot be made in main" }
                : check;
        }
    }
}
