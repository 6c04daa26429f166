using System.Net.Sockets;
using Npgsql;
using Tributary.Postgres;

namespace Tributary.Streaming;

/// <summary>Tells failures that a new attempt may cure from those that it cannot, and words both without a cell value.</summary>
internal static class LostLink
{
    // Classes whose messages the server makes of names, numbers and settings alone. The others, above all 22 (data) and P0 (raised by
    // users' functions), may repeat a value: https://www.postgresql.org/docs/current/errcodes-appendix.html
    static readonly string[] SpeakableClasses = ["08", "0A", "25", "28", "2B", "3D", "3F", "40", "42", "53", "54", "55", "57", "58"];

    public static bool Is(Exception exception) => exception switch
    {
        StreamException => false,
        PostgresException postgres => IsPassing(postgres.SqlState),
        ServerErrorException server => IsPassing(server.SqlState),
        NpgsqlException npgsql => npgsql.IsTransient || npgsql.InnerException is IOException or SocketException or TimeoutException,
        EndOfStreamException or IOException or SocketException or TimeoutException => true,
        _ => false,
    };

    /// <summary>Shutdown, crash recovery, a slot still held by the session of the lost link, transaction conflicts, full disks and spent connections pass.</summary>
    public static bool IsPassing(string sqlState) =>
        sqlState is "57P01" or "57P02" or "57P03" or "55006" or "55P03" or "40001" or "40P01" ||
        sqlState.StartsWith("53", StringComparison.Ordinal) ||
        sqlState.StartsWith("08", StringComparison.Ordinal);

    /// <summary>The reason, without a row: the server's detail and context lines are left out, and its message where it may repeat a value.</summary>
    public static string Describe(Exception exception) => exception switch
    {
        PostgresException postgres => Describe(postgres.SqlState, postgres.MessageText),
        ServerErrorException server => Describe(server.SqlState, server.Error.Message),
        StreamException or NpgsqlException or IOException or SocketException or TimeoutException =>
            exception.InnerException is { } inner ? $"{exception.Message} ({Describe(inner)})" : exception.Message,
        _ => exception.GetType().Name,
    };

    public static string Describe(string sqlState, string message) =>
        SpeakableClasses.Any(speakable => sqlState.StartsWith(speakable, StringComparison.Ordinal))
            ? $"{sqlState}: {message}"
            : $"SQLSTATE {sqlState} (https://www.postgresql.org/docs/current/errcodes-appendix.html)";

    /// <summary>The exception itself goes on only if it is not the driver's: what prints it whole would print the server's message and detail.</summary>
    public static StreamException Unexpected(StreamOptions options, Exception exception) => new(
        StreamErrorKind.Source, $"The stream '{options.Name}' failed: {Describe(exception)}", exception is NpgsqlException or ServerErrorException ? null : exception);
}
