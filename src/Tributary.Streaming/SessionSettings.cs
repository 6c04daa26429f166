using Npgsql;
using Tributary.Postgres;

namespace Tributary.Streaming;

/// <summary>
/// How every session at either side is opened. Values travel as text, so both sides must print and read them alike whatever a role's or a
/// database's own settings are; Postgres's own subscriptions set the same (src/backend/replication/libpqwalreceiver/libpqwalreceiver.c).
/// Where row security would hide rows, a statement fails instead of leaving them out.
/// </summary>
internal static class SessionSettings
{
    /// <summary>The startup parameter <c>options</c> of every session.</summary>
    public const string ServerOptions =
        "-c datestyle=ISO -c intervalstyle=postgres -c extra_float_digits=3 -c bytea_output=hex -c statement_timeout=0 -c lock_timeout=0 " +
        "-c idle_in_transaction_session_timeout=0 -c lc_monetary=C -c row_security=off -c search_path=";

    /// <param name="moreServerOptions">Further <c>-c name=value</c> settings.</param>
    public static string ConnectionString(PostgresUrl url, string applicationName, string moreServerOptions = "") =>
        new NpgsqlConnectionStringBuilder(url.ToNpgsql(applicationName))
        {
            Options = $"{ServerOptions} {moreServerOptions}".TrimEnd(),
            Pooling = false, // A pooled session would keep locks and settings beyond the owner that it belongs to.
            CommandTimeout = 0, // A copy or an index build takes what it takes; a lost link is found by keep-alives.
            // The kernel's: they find a lost machine or network, and leave a server be that stands still for a minute. The driver's own would
            // close a session that is idle then. A Unix socket has neither and refuses them.
            TcpKeepAliveTime = url.IsUnixSocket ? 0 : 15,
            TcpKeepAliveInterval = url.IsUnixSocket ? 0 : 5,
            Timeout = 10,
            ClientEncoding = "UTF8",
        }.ConnectionString;

    /// <summary>A session that takes the commands of replication.</summary>
    /// <exception cref="StreamException">Kind Configuration: it cannot be opened as the URL asks.</exception>
    public static async Task<ServerSession> OpenReplicationAsync(PostgresUrl url, string applicationName, TimeProvider time, CancellationToken cancellationToken)
    {
        try
        {
            return await ServerSession.OpenAsync(url, new SessionParameters(applicationName, ServerOptions, Replication: true), time, cancellationToken);
        }
        catch (SessionRefusedException exception)
        {
            throw new StreamException(StreamErrorKind.Configuration, exception.Message, exception);
        }
    }

    /// <summary>Whether the driver still takes the connection for usable.</summary>
    public static bool IsOpen(NpgsqlConnection connection) => connection.FullState.HasFlag(System.Data.ConnectionState.Open);

    public static async Task<NpgsqlConnection> OpenAsync(string connectionString, CancellationToken cancellationToken)
    {
        var connection = new NpgsqlConnection(connectionString);
        try
        {
            await connection.OpenAsync(cancellationToken);
            return connection;
        }
        catch
        {
            await connection.DisposeAsync();
            throw;
        }
    }
}
