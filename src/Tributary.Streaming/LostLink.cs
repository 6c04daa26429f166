using System.Net.Sockets;
using Npgsql;

namespace Tributary.Streaming;

/// <summary>Tells failures that a new attempt may cure from those that it cannot, and words both without a cell value.</summary>
internal static class LostLink
{
    public static bool Is(Exception exception) => exception switch
    {
        StreamException => false,
        // Shutdown, crash recovery, a slot still held by the session of the lost link, transaction conflicts, full disks and spent connections are passing states.
        PostgresException postgres => postgres.SqlState is "57P01" or "57P02" or "57P03" or "55006" or "40001" or "40P01" ||
            postgres.SqlState.StartsWith("53", StringComparison.Ordinal) ||
            postgres.SqlState.StartsWith("08", StringComparison.Ordinal),
        NpgsqlException npgsql => npgsql.IsTransient || npgsql.InnerException is IOException or SocketException or TimeoutException,
        EndOfStreamException or IOException or SocketException or TimeoutException => true,
        _ => false,
    };

    /// <summary>The server's own words for its errors carry no row; its detail and context lines may, and are left out.</summary>
    public static string Describe(Exception exception) => exception switch
    {
        PostgresException postgres => $"{postgres.SqlState}: {postgres.MessageText}",
        _ => exception.InnerException is { } inner ? $"{exception.Message} ({inner.Message})" : exception.Message,
    };

    public static StreamException Unexpected(StreamOptions options, Exception exception) => new(
        StreamErrorKind.Source, $"The stream '{options.Name}' failed: {Describe(exception)}", exception);
}
