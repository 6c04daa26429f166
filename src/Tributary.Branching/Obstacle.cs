using System.Data.Common;
using System.Net.Sockets;
using Npgsql;
using Tributary.Postgres.Programs;

namespace Tributary.Branching;

/// <summary>
/// What a loop may meet at any time and tries again later: a disk, a server, a program or the catalog that does not do what it is asked, as when
/// the disk is full. Anything else is a mistake of ours and ends the loop.
/// </summary>
internal static class Obstacle
{
    public static bool Is(Exception exception) => exception
        is StorageException or ChildProcessException or BranchingException or DbException or IOException or UnauthorizedAccessException or SocketException or TimeoutException;

    /// <summary>
    /// The server is gone for the moment: it restarts by itself after one of its processes has crashed, and is started again when it has ended.
    /// Connections that were open before are lost.
    /// </summary>
    public static bool IsRestart(NpgsqlException exception) => exception is not PostgresException postgres
        || postgres.SqlState is PostgresErrorCodes.AdminShutdown or PostgresErrorCodes.CrashShutdown or PostgresErrorCodes.CannotConnectNow;
}
