namespace Tributary.Streaming.Hosting;

public enum FindingSeverity
{
    /// <summary>The stream can run; something to know, and perhaps to change.</summary>
    Note,

    /// <summary>The stream can run, but something will fail or be missing.</summary>
    Warning,

    /// <summary>The stream cannot start.</summary>
    Error,
}

/// <summary>One thing that is wrong with a stream's surroundings.</summary>
/// <param name="Subject">Where: <c>source</c>, <c>target</c> or <c>machine</c>, with the object's name.</param>
/// <param name="Remedy">What to do, in words.</param>
/// <param name="Sql">The statements that mend it; null when SQL cannot.</param>
public sealed record StreamFinding(FindingSeverity Severity, string Subject, string Problem, string Remedy, string? Sql = null)
{
    /// <summary>The source refuses some writes once the stream runs.</summary>
    public bool StopsSource { get; init; }
}
