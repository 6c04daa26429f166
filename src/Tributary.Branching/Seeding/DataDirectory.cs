using Tributary.Postgres.Programs;

namespace Tributary.Branching.Seeding;

/// <summary>What a clone of main's data directory must not carry along.</summary>
internal static class DataDirectory
{
    /// <param name="asStandby">It starts as a standby, whatever main is; else as a primary of its own.</param>
    public static void Strip(string dataDirectory, bool asStandby)
    {
        StripFork(dataDirectory);
        File.Delete(Path.Combine(dataDirectory, "recovery.signal"));
        var standby = Path.Combine(dataDirectory, "standby.signal");
        if (!asStandby)
        {
            File.Delete(standby);
        }
        else if (!File.Exists(standby))
        {
            File.WriteAllText(standby, "");
            PostgresUser.Own(standby);
        }

        File.WriteAllText(Path.Combine(dataDirectory, "postgresql.auto.conf"), "");
    }

    /// <summary>What a fork of a branch must not carry along. The branch's own ALTER SYSTEM rides along: it is the branch's.</summary>
    public static void StripFork(string dataDirectory)
    {
        foreach (var file in new[] { "postmaster.pid", "postmaster.opts" })
            File.Delete(Path.Combine(dataDirectory, file));
        // Nobody reads a copied slot, and the log that it keeps would grow for ever.
        foreach (var slot in Directory.EnumerateDirectories(Path.Combine(dataDirectory, "pg_replslot")))
            Directory.Delete(slot, recursive: true);
    }
}
