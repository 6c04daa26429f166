using System.Text.Json.Serialization;

namespace Tributary.Contracts;

/// <summary>What stands in the way of a stream; nothing when it can start.</summary>
/// <param name="Findings">Errors first.</param>
public sealed record StreamCheckResponse(string Stream, string Source, string Target, IReadOnlyList<StreamFindingResponse> Findings)
{
    /// <summary>The stream can start; warnings and notes do not hinder it.</summary>
    public bool Passed => Findings.All(finding => finding.Severity != StreamFindingSeverity.Error);
}

/// <param name="Side">What must change.</param>
/// <param name="Subject">The object: the side with its URL, without a password.</param>
/// <param name="Remedy">What to do, in words.</param>
/// <param name="Sql">Statements that mend it; absent when SQL cannot.</param>
public sealed record StreamFindingResponse(StreamFindingSeverity Severity, StreamSide Side, string Subject, string Problem, string Remedy, string? Sql = null);

[JsonConverter(typeof(CamelCaseName<StreamFindingSeverity>))]
public enum StreamFindingSeverity
{
    /// <summary>The stream can run; something to know, and perhaps to change.</summary>
    Note,

    /// <summary>The stream can run, but something will fail or be missing.</summary>
    Warning,

    /// <summary>The stream cannot start.</summary>
    Error,
}

[JsonConverter(typeof(CamelCaseName<StreamSide>))]
public enum StreamSide
{
    Source,
    Target,

    /// <summary>The machine that the stream runs on.</summary>
    Machine,
    Options,
}
