using Microsoft.Extensions.Logging;

namespace Tributary.Server;

/// <summary>What the server says of itself. Event ids 4000 to 4999.</summary>
static partial class Log
{
    [LoggerMessage(4000, LogLevel.Information, "Tributary {Version} runs: state {StateDirectory}, API {Socket}")]
    public static partial void Started(ILogger logger, string version, string stateDirectory, string socket);

    [LoggerMessage(4001, LogLevel.Information, "{Part} starts")]
    public static partial void PartStarts(ILogger logger, string part);

    [LoggerMessage(4002, LogLevel.Information, "{Part} has stopped")]
    public static partial void PartStopped(ILogger logger, string part);

    [LoggerMessage(4003, LogLevel.Error, "{Part} has failed and does not run any more; the other parts go on")]
    public static partial void PartFailed(ILogger logger, string part, Exception exception);

    [LoggerMessage(4004, LogLevel.Error, "{Part} has failed and does not run any more; the other parts go on: {Reason}")]
    public static partial void PartEnded(ILogger logger, string part, string reason);

    [LoggerMessage(4005, LogLevel.Warning, "{Part} did not stop within {Limit}; the others are stopped without it")]
    public static partial void PartStopsLate(ILogger logger, string part, TimeSpan limit);

    [LoggerMessage(4006, LogLevel.Information, "Tributary has stopped")]
    public static partial void Stopped(ILogger logger);

    [LoggerMessage(4007, LogLevel.Warning, "What is here goes on, although not all that it reads and writes serves now: {Reason}")]
    public static partial void Unsuitable(ILogger logger, string reason);

    [LoggerMessage(4008, LogLevel.Warning, "Stream {Stream}, {Subject}: {Problem}. {Mend}")]
    public static partial void StreamWarning(ILogger logger, string stream, string subject, string problem, string mend);

    [LoggerMessage(4009, LogLevel.Warning, "What the failed start had made could not all be removed: {Reason}")]
    public static partial void NotUndone(ILogger logger, string reason);

    [LoggerMessage(4010, LogLevel.Error, "The API failed to answer {Method} {Path}")]
    public static partial void RequestFailed(ILogger logger, string method, string path, Exception exception);

    [LoggerMessage(4011, LogLevel.Information, "Branch {Branch} was made in {Milliseconds} ms")]
    public static partial void BranchMade(ILogger logger, string branch, double milliseconds);

    [LoggerMessage(4020, LogLevel.Warning, "{Problem}. Mend: {Mend}")]
    public static partial void SourceWarning(ILogger logger, string problem, string? mend);
}
