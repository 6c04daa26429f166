using Tributary.Contracts;

namespace Tributary.Cli.Output;

/// <summary>The doctor's findings as text.</summary>
static class DoctorText
{
    public static void Write(DoctorResponse doctor, TextWriter output)
    {
        var width = doctor.Checks.Max(check => check.Name.Length);
        foreach (var check in doctor.Checks)
        {
            var mark = check.Outcome switch { CheckOutcome.Ok => "ok     ", CheckOutcome.Warning => "warning", _ => "FAILED " };
            output.WriteLine($"{mark}  {check.Name.PadRight(width)}  {check.Detail}");
            if (check.Fix is not null)
                output.WriteLine($"{"",-7}  {"".PadRight(width)}  fix: {check.Fix}");
        }

        output.WriteLine();
        var failed = doctor.Checks.Count(check => check.Outcome == CheckOutcome.Failed);
        var warnings = doctor.Checks.Count(check => check.Outcome == CheckOutcome.Warning);
        output.WriteLine(failed > 0 ? $"{failed} failed, {warnings} warnings" : warnings > 0 ? $"it works, with {warnings} warnings" : "all is well");
    }
}
