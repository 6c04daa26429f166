using System.Globalization;
using Tributary.Branching.Storage;
using Tributary.Postgres.Programs;

namespace Tributary.Branching;

/// <summary>
/// What a server that was killed can leave of its pool: servers that still run on data in it, and a loop device of its image. Each is known
/// as ours by the path of this state folder, so that nobody else's is touched.
/// </summary>
internal static class PoolLeftovers
{
    /// <summary>An immediate shutdown is over in moments, whatever the server does.</summary>
    static readonly TimeSpan EndLimit = TimeSpan.FromSeconds(20);

    static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(50);

    static readonly string[] Programs = ["postgres", "bwrap"];

    /// <exception cref="StorageException">The configuration's place for the pool makes no sense.</exception>
    public static bool HasPool(BranchingOptions options) =>
        PoolImage.Exists(options.StateDirectory) || (Directory.Exists(RootOf(options)) && Directory.EnumerateFileSystemEntries(RootOf(options)).Any());

    /// <summary>Ends them and answers which they were.</summary>
    /// <exception cref="StorageException">One does not end.</exception>
    public static async Task<IReadOnlyList<string>> EndProcessesAsync(BranchingOptions options, TimeProvider time, CancellationToken cancellationToken)
    {
        var ended = new SortedSet<string>(StringComparer.Ordinal);
        var (root, started) = (RootOf(options), time.GetTimestamp());
        while (Running(root) is { Count: > 0 } running)
        {
            if (time.GetElapsedTime(started) > EndLimit)
                throw new StorageException($"{string.Join(", ", running.Select(process => process.Text))} still runs on {root} and does not end. End it, then repair again.");
            foreach (var (id, text) in running)
            {
                // An immediate shutdown for Postgres; a sandbox has no other end than the kernel's, which takes all in it along.
                if (ended.Add(text))
                    await ChildProcesses.RunAsync(new ChildProcessSpec("/bin/kill", ["-s", text.StartsWith("bwrap", StringComparison.Ordinal) ? "KILL" : "QUIT", $"{id}"]), cancellationToken);
            }

            await Task.Delay(PollInterval, time, cancellationToken);
        }

        return [.. ended];
    }

    /// <summary>Frees loop devices that still hold the image after it was unmounted, and answers which they were.</summary>
    public static async Task<IReadOnlyList<string>> DetachAsync(string stateDirectory, CancellationToken cancellationToken)
    {
        if (!PoolImage.Exists(stateDirectory) || !Environment.IsPrivilegedProcess)
            return [];
        var listed = await ChildProcesses.RunAsync(
            new ChildProcessSpec("losetup", ["--associated", Path.Combine(stateDirectory, PoolImage.FileName), "--noheadings", "--output", "NAME"]), cancellationToken);
        var freed = new List<string>();
        foreach (var device in listed.StandardOutput.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            if ((await ChildProcesses.RunAsync(new ChildProcessSpec("losetup", ["--detach", device]), cancellationToken)).Succeeded)
                freed.Add($"loop device {device}");
        }

        return freed;
    }

    static List<(int Id, string Text)> Running(string root)
    {
        var running = new List<(int, string)>();
        foreach (var folder in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(folder), NumberStyles.None, CultureInfo.InvariantCulture, out var id))
                continue;
            var words = CommandLine(folder);
            if (Programs.Contains(Path.GetFileName(words[0])) && words.FirstOrDefault(word => word.StartsWith(root + "/", StringComparison.Ordinal)) is { } data)
                running.Add((id, $"{Path.GetFileName(words[0])} (process {id}) on {data}"));
        }

        return running;
    }

    static string[] CommandLine(string folder)
    {
        try
        {
            return File.ReadAllText(Path.Combine(folder, "cmdline")).Split('\0');
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return [""]; // It has ended, or is somebody else's.
        }
    }

    // A dataset is mounted where a pool without a name of its own would be.
    static string RootOf(BranchingOptions options) => Pool.RootOf(options.Driver == "zfs" ? options with { PoolPath = null } : options);
}
