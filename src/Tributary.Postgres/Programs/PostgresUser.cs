using System.Globalization;
using System.Runtime.InteropServices;

namespace Tributary.Postgres.Programs;

/// <summary>
/// The operating-system user <c>postgres</c>, as which servers run when Tributary is root. Ownership is changed by the system call:
/// a program for it would cost each start of a branch several milliseconds.
/// </summary>
public static partial class PostgresUser
{
    static readonly Lazy<(int User, int Group)> Ids = new(Find);

    /// <summary>Gives files and folders, not what is in them, to the user; does nothing when Tributary is not root and runs servers as itself.</summary>
    /// <exception cref="ChildProcessException">There is no such user, or the file system refuses.</exception>
    public static void Own(params ReadOnlySpan<string> paths)
    {
        if (!Environment.IsPrivilegedProcess)
            return;
        foreach (var path in paths)
        {
            if (ChangeOwner(path, Ids.Value.User, Ids.Value.Group) != 0)
                throw new ChildProcessException($"{path} cannot be given to the user postgres: {Marshal.GetLastPInvokeErrorMessage()}.");
        }
    }

    // The package of the server makes the user locally, so the file has it where servers are installed.
    static (int User, int Group) Find()
    {
        foreach (var line in File.ReadLines("/etc/passwd"))
        {
            if (line.Split(':') is ["postgres", _, var user, var group, ..])
                return (int.Parse(user, CultureInfo.InvariantCulture), int.Parse(group, CultureInfo.InvariantCulture));
        }

        throw new ChildProcessException("This machine has no user 'postgres'. Install the server (Debian: apt-get install postgresql).");
    }

    [LibraryImport("libc", EntryPoint = "lchown", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int ChangeOwner(string path, int user, int group);
}
