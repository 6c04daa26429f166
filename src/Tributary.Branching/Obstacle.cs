using System.Data.Common;
using System.Net.Sockets;
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
}
