namespace Tributary.Cli;

/// <summary>What the process answers to its caller; these do not change between versions.</summary>
static class ExitCodes
{
    public const int Ok = 0;

    /// <summary>The work failed; the message says why.</summary>
    public const int Failed = 1;

    /// <summary>The command line, the configuration, or what they name is wrong.</summary>
    public const int Usage = 2;

    /// <summary>No server answers on the socket.</summary>
    public const int ServerUnreachable = 3;

    /// <summary>There is no such branch, stream or state folder.</summary>
    public const int NotFound = 4;

    /// <summary>Production does not serve: unreachable, no rights, wal_level.</summary>
    public const int SourceUnsuitable = 5;

    /// <summary>A target does not serve.</summary>
    public const int TargetUnsuitable = 6;

    /// <summary>A port is taken.</summary>
    public const int PortTaken = 7;

    /// <summary>A disk or the pool is full.</summary>
    public const int NoSpace = 8;

    /// <summary>The name is taken, or the file to be written exists.</summary>
    public const int AlreadyExists = 9;

    /// <summary>Not yet: the first copy of production still runs.</summary>
    public const int NotReady = 10;

    /// <summary>Another server runs on the state folder or the API's socket, or another instance runs the stream.</summary>
    public const int AlreadyRunning = 11;

    /// <summary>This machine lacks what is needed; <c>tributary doctor</c> says what.</summary>
    public const int MachineUnsuitable = 12;

    /// <summary>Ended by Ctrl-C or SIGTERM before the work was done.</summary>
    public const int Cancelled = 130;
}
