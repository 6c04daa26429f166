using Tributary.Contracts;

namespace Tributary.Cli.Output;

/// <summary>The findings about a stream as text; the statements stand alone on their lines, to be copied.</summary>
static class StreamCheckText
{
    public static void Write(StreamCheckResponse check, TextWriter output)
    {
        foreach (var finding in check.Findings)
        {
            output.WriteLine($"{(finding.Severity == StreamFindingSeverity.Error ? "FAILED " : "warning")}  {finding.Subject}: {finding.Problem}");
            output.WriteLine($"         fix: {finding.Remedy}");
            foreach (var statement in (finding.Sql ?? "").Split('\n', StringSplitOptions.RemoveEmptyEntries))
                output.WriteLine($"         {statement}");
        }

        output.WriteLine(check switch
        {
            { Findings.Count: 0 } => $"all is well: stream {check.Stream} can go from {check.Source} to {check.Target}",
            { Passed: true } => $"stream {check.Stream} can run, with {check.Findings.Count} warning(s)",
            _ => $"stream {check.Stream} cannot start yet",
        });
    }
}
