namespace Tributary.Server;

/// <summary>Why something did not start or could not be done: a server, a stream outside one, a removal. Of a start nothing is left behind.</summary>
/// <param name="Message">What failed and on what.</param>
/// <param name="Hint">What to do, a line each; null when the message says it.</param>
public sealed record OperationFailure(FailureKind Kind, string Message, string? Hint = null);

public enum FailureKind
{
    /// <summary>Another server runs on the same state folder or socket, or another instance runs the same stream.</summary>
    AlreadyRunning,

    /// <summary>The state folder cannot be made, written or removed.</summary>
    StateUnusable,
    SourceUnsuitable,
    TargetUnsuitable,
    PortTaken,
    NoSpace,

    /// <summary>The machine lacks what is needed.</summary>
    MachineUnsuitable,
    BadCertificate,

    /// <summary>The options contradict themselves.</summary>
    Configuration,

    /// <summary>The work itself failed: a gap, a row that the target cannot take, a bound.</summary>
    Work,
}
