using Microsoft.Extensions.Logging;
using Tributary.Gateway.Relay;

namespace Tributary.Gateway;

/// <summary>No message holds a password, a query or what a client sent before it was known to be Postgres' protocol.</summary>
static partial class Log
{
    [LoggerMessage(3000, LogLevel.Information, "The gateway listens on {Address}:{Port}; TLS: {Tls}.")]
    public static partial void Listening(ILogger logger, string address, int port, bool tls);

    [LoggerMessage(3001, LogLevel.Information, "The gateway stops; {Sessions} sessions have {DrainTimeout} to end.")]
    public static partial void Draining(ILogger logger, int sessions, TimeSpan drainTimeout);

    [LoggerMessage(3002, LogLevel.Information, "Session {Session} of {Client} is refused: {SqlState} {Reason}")]
    public static partial void Refused(ILogger logger, long session, string client, string sqlState, string reason);

    [LoggerMessage(3003, LogLevel.Information, "Session {Session} of {Client} enters branch {Branch} as {User}; the branch was ready after {Wake}.")]
    public static partial void Entered(ILogger logger, long session, string client, string branch, string user, TimeSpan wake);

    [LoggerMessage(3004, LogLevel.Information, "Session {Session} in branch {Branch} ended by the {Side}; link broken: {Broken}.")]
    public static partial void Ended(ILogger logger, long session, string branch, RelaySide side, bool broken);

    [LoggerMessage(3005, LogLevel.Debug, "Session {Session} of {Client} lost its link.")]
    public static partial void LinkLost(ILogger logger, Exception exception, long session, string client);

    [LoggerMessage(3006, LogLevel.Error, "Session {Session} of {Client} failed.")]
    public static partial void Failed(ILogger logger, Exception exception, long session, string client);

    [LoggerMessage(3007, LogLevel.Warning, "The gateway could not accept a connection; it tries again in {Pause}.")]
    public static partial void AcceptFailed(ILogger logger, Exception exception, TimeSpan pause);
}
