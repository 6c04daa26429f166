using Tributary.Postgres.Programs;

namespace Tributary.Branching;

/// <summary>
/// Seeds and spares are thrown away when making them fails, so they are made without a single fsync, which costs most of their time on a busy
/// disk. What comes of them is flushed once, as a whole; until then it outlives the end of any process, but not of the machine, and
/// the name of this boot in the catalog tells the two apart.
/// </summary>
internal static class PoolFlush
{
    /// <summary>The setting that a server has until it is flushed.</summary>
    public const string NoFsync = "fsync = off";

    /// <summary>Names the time since the kernel was started (random(4): boot_id).</summary>
    public static string Boot { get; } = ReadBoot();

    /// <summary>Writes everything of the file system that holds the path to the disk (syncfs(2)).</summary>
    /// <exception cref="ChildProcessException">The disk refuses.</exception>
    public static async Task FlushAsync(string path, CancellationToken cancellationToken) =>
        (await ChildProcesses.RunAsync(new ChildProcessSpec("sync", ["--file-system", path]), cancellationToken)).EnsureSucceeded("sync");

    static string ReadBoot()
    {
        const string File = "/proc/sys/kernel/random/boot_id";
        return System.IO.File.Exists(File) ? System.IO.File.ReadAllText(File).Trim() : "unknown";
    }
}
