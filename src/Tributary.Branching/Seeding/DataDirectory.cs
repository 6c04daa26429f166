using Tributary.Postgres.Programs;

namespace Tributary.Branching.Seeding;

/// <summary>
/// What a clone of main's data directory must not carry along. Whoever was superuser in the original may have put anything in these places, a link to
/// a folder of the host among it; the clone is nobody's yet, so what is looked at here does not change meanwhile.
/// </summary>
internal static class DataDirectory
{
    /// <param name="asStandby">It starts as a standby, whatever main is; else as a primary of its own.</param>
    public static void Strip(string dataDirectory, bool asStandby)
    {
        StripFork(dataDirectory);
        Remove(Path.Combine(dataDirectory, "recovery.signal"));
        var standby = Path.Combine(dataDirectory, "standby.signal");
        Remove(standby);
        if (asStandby)
            Create(standby);
        Create(Path.Combine(dataDirectory, "postgresql.auto.conf"));
    }

    /// <summary>What a fork of a branch must not carry along. The branch's own ALTER SYSTEM rides along: it is the branch's.</summary>
    public static void StripFork(string dataDirectory)
    {
        foreach (var file in new[] { "postmaster.pid", "postmaster.opts" })
            Remove(Path.Combine(dataDirectory, file));
        // Nobody reads a copied slot, and the log that it keeps would grow for ever.
        var slots = Path.Combine(dataDirectory, "pg_replslot");
        Remove(slots);
        Directory.CreateDirectory(slots, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        PostgresUser.Own(slots);
    }

    // A link is removed itself, also below a folder.
    static void Remove(string path)
    {
        if (new DirectoryInfo(path) is { Exists: true, LinkTarget: null } folder)
            folder.Delete(recursive: true);
        else
            File.Delete(path);
    }

    static void Create(string path)
    {
        Remove(path);
        using (new FileStream(path, FileMode.CreateNew))
        {
            // Empty. A new file is nobody else's.
        }

        PostgresUser.Own(path);
    }
}
