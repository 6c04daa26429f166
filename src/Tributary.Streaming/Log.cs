using Microsoft.Extensions.Logging;
using Tributary.Postgres;

namespace Tributary.Streaming;

internal static partial class Log
{
    [LoggerMessage(1000, LogLevel.Information, "Stream {Name} streams from {Position}")]
    public static partial void Streaming(ILogger logger, string name, Lsn position);

    [LoggerMessage(1001, LogLevel.Information, "Stream {Name} has copied the existing rows as of {Position}")]
    public static partial void Copied(ILogger logger, string name, Lsn position);

    [LoggerMessage(1002, LogLevel.Warning, "Stream {Name} lost a link and reconnects in {Delay}: {Reason}")]
    public static partial void Reconnecting(ILogger logger, string name, TimeSpan delay, string reason);

    // The exception itself is not logged: a driver's message may repeat a row.
    [LoggerMessage(1003, LogLevel.Error, "Stream {Name} stopped ({Kind}, {ExceptionType}): {Reason}")]
    static partial void Stopped(ILogger logger, string name, StreamErrorKind kind, string exceptionType, string reason);

    [LoggerMessage(1009, LogLevel.Error, "Stream {Name} stopped by what it does not expect ({ExceptionType}): please report where:\n{Where}")]
    static partial void Unexpected(ILogger logger, string name, string exceptionType, string? where);

    public static void Stopped(ILogger logger, string name, StreamErrorKind kind, string reason, Exception exception)
    {
        Stopped(logger, name, kind, exception.GetType().Name, reason);
        // Names of methods alone.
        if (exception is not StreamException)
            Unexpected(logger, name, exception.GetType().Name, exception.StackTrace);
    }

    [LoggerMessage(1005, LogLevel.Warning, "Stream {Name} cannot mark its writes with a replication origin, so a stream in the other direction would carry them back: {Reason}")]
    public static partial void NoOrigin(ILogger logger, string name, string reason);

    [LoggerMessage(1010, LogLevel.Warning, "Stream {Name}: of {Tag} at {Position} the target does not have {Object}: {Why}")]
    public static partial void SchemaReported(ILogger logger, string name, string tag, string @object, string why, Lsn position);

    [LoggerMessage(1011, LogLevel.Warning, "Stream {Name} carries those changes of the schema that the descriptions of rows show, columns and names of tables, since it has no event triggers at the source: {Reason}")]
    public static partial void FollowsDescriptions(ILogger logger, string name, string reason);

    [LoggerMessage(1004, LogLevel.Warning, "Stream {Name}: {Rows} updates or deletes up to {Position} found no row in the target")]
    public static partial void MissingRows(ILogger logger, string name, long rows, Lsn position);

    [LoggerMessage(1006, LogLevel.Warning, "Stream {Name} carries changes only, from {Position} on: its target takes no copy of the rows that exist")]
    public static partial void ChangesOnly(ILogger logger, string name, Lsn position);

    [LoggerMessage(1020, LogLevel.Information, "Stream {Name} writes transaction {Xid} in its turn and not ahead of its commit: {Reason}")]
    public static partial void NotAhead(ILogger logger, string name, uint xid, string reason);
}
