namespace Tributary.Server;

/// <summary>Why a server did not start. By then nothing of it is left behind.</summary>
/// <param name="Message">What failed and on what.</param>
/// <param name="Hint">What to do.</param>
public sealed record StartupFailure(StartupFailureKind Kind, string Message, string? Hint = null);

public enum StartupFailureKind
{
    /// <summary>Another server runs on the same state folder or socket.</summary>
    AlreadyRunning,

    /// <summary>The state folder cannot be made or written.</summary>
    StateUnusable,
    SourceUnsuitable,
    TargetUnsuitable,
    PortTaken,
    NoSpace,

    /// <summary>The machine lacks what branches need.</summary>
    MachineUnsuitable,
    BadCertificate,
}
