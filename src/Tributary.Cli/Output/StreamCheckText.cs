using Tributary.Contracts;

namespace Tributary.Cli.Output;

/// <summary>The findings about a stream as text; the statements stand alone on their lines, to be copied.</summary>
static class StreamCheckText
{
    public static void Write(StreamCheckResponse check, TextWriter output)
    {
        foreach (var finding in check.Findings)
        {
            output.WriteLine($"{Mark(finding.Severity)}  {finding.Subject}: {finding.Problem}");
            output.WriteLine($"         fix: {finding.Remedy}");
            foreach (var statement in (finding.Sql ?? "").Split('\n', StringSplitOptions.RemoveEmptyEntries))
                output.WriteLine($"         {statement}");
        }

        var warnings = check.Findings.Count(finding => finding.Severity == StreamFindingSeverity.Warning);
        output.WriteLine(check switch
        {
            { Passed: true } when warnings == 0 => $"all is well: stream {check.Stream} can go from {check.Source} to {check.Target}",
            { Passed: true } => $"stream {check.Stream} can run, with {warnings} warning(s)",
            _ => $"stream {check.Stream} cannot start yet",
        });
    }

    static string Mark(StreamFindingSeverity severity) => severity switch
    {
        StreamFindingSeverity.Error => "FAILED ",
        StreamFindingSeverity.Warning => "warning",
        _ => "note   ",
    };
}
