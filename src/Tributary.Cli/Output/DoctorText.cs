using Tributary.Contracts;

namespace Tributary.Cli.Output;

/// <summary>The doctor's findings as text.</summary>
static class DoctorText
{
    public static void Checks(IReadOnlyList<DoctorCheck> checks, TextWriter output)
    {
        var width = checks.Max(check => check.Name.Length);
        foreach (var check in checks)
        {
            var mark = check.Outcome switch { CheckOutcome.Ok => "ok     ", CheckOutcome.Warning => "warning", _ => "FAILED " };
            output.WriteLine($"{mark}  {check.Name.PadRight(width)}  {check.Detail}");
            if (check.Fix is not null)
                output.WriteLine($"{"",-7}  {"".PadRight(width)}  fix: {check.Fix}");
        }
    }

    public static void Write(DoctorResponse doctor, TextWriter output)
    {
        Checks(doctor.Checks, output);
        output.WriteLine();
        var failed = doctor.Checks.Count(check => check.Outcome == CheckOutcome.Failed);
        var warnings = doctor.Checks.Count(check => check.Outcome == CheckOutcome.Warning);
        output.WriteLine(failed > 0 ? $"{failed} failed, {warnings} warnings" : warnings > 0 ? $"it works, with {warnings} warnings" : "all is well");
    }
}
