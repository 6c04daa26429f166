using System.Text.Json.Serialization;

namespace Tributary.Contracts;

/// <summary>What this machine and production lack, or have.</summary>
public sealed record DoctorResponse(IReadOnlyList<DoctorCheck> Checks)
{
    /// <summary>No check has failed; warnings do not count.</summary>
    public bool Healthy => !Checks.Any(check => check.Outcome == CheckOutcome.Failed);
}

/// <param name="Detail">What was found.</param>
/// <param name="Fix">What to do; absent when nothing needs doing.</param>
public sealed record DoctorCheck(string Name, CheckOutcome Outcome, string Detail, string? Fix = null);

[JsonConverter(typeof(CamelCaseName<CheckOutcome>))]
public enum CheckOutcome
{
    Ok,

    /// <summary>It works, with less.</summary>
    Warning,
    Failed,
}
