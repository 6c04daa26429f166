namespace Tributary.Postgres;

/// <summary>How a <see cref="ServerSession"/> is opened, and its bounds.</summary>
/// <param name="ApplicationName">Shown in <c>pg_stat_activity</c> and <c>pg_stat_replication</c>.</param>
/// <param name="ServerOptions">The startup parameter <c>options</c>: <c>-c name=value</c> settings.</param>
/// <param name="Replication">Whether the session also takes the commands of replication (<c>replication=database</c>).</param>
public sealed record SessionParameters(string ApplicationName, string ServerOptions, bool Replication)
{
    /// <summary>
    /// With <see cref="Replication"/>: a session without a database, which copies and follows the whole cluster. pg_hba.conf lets these in by
    /// lines for <c>replication</c>, and by those alone (https://www.postgresql.org/docs/current/auth-pg-hba-conf.html).
    /// </summary>
    public bool Physical { get; init; }

    /// <summary>From the first packet to the server's readiness. Default 10 s: a server that is up answers in milliseconds.</summary>
    public TimeSpan OpenTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// The longest message that is accepted, in bytes. The server builds a message in a StringInfo, which holds less than 1 GiB
    /// (MaxAllocSize in src/include/utils/memutils.h), so the default admits all that a sound server sends.
    /// </summary>
    public int MessageBytesMax { get; init; } = 1 << 30;

    /// <summary>
    /// How long sent bytes may stay without the peer's acknowledgement before the kernel ends the connection (TCP_USER_TIMEOUT). It finds a
    /// link of which one side has vanished. Default 30 s.
    /// </summary>
    public TimeSpan UnacknowledgedMax { get; init; } = TimeSpan.FromSeconds(30);
}
