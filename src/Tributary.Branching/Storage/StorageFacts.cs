using Tributary.Postgres.Programs;

namespace Tributary.Branching.Storage;

/// <summary>What the kernel and the installed programs say about a place for the pool.</summary>
internal static class StorageFacts
{
    // Root's PATH often lacks the sbin folders when the program is started by a service.
    static readonly string[] ProgramFolders = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

    public static bool Has(string program) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':', StringSplitOptions.RemoveEmptyEntries).Concat(ProgramFolders).Any(folder => File.Exists(Path.Combine(folder, program)));

    public static async Task<bool> IsMountPointAsync(string path, CancellationToken cancellationToken) =>
        (await ChildProcesses.RunAsync(new ChildProcessSpec("mountpoint", ["-q", path]), cancellationToken)).Succeeded;

    /// <summary>The folder itself, or the nearest above it that is there: what a folder that is made later will lie on.</summary>
    public static string Existing(string folder)
    {
        while (!Directory.Exists(folder))
            folder = Path.GetDirectoryName(folder) ?? "/";
        return folder;
    }

    /// <summary>The type of the file system that a path is on, for example <c>btrfs</c>.</summary>
    public static async Task<string> FileSystemOfAsync(string path, CancellationToken cancellationToken)
    {
        var result = await ChildProcesses.RunAsync(new ChildProcessSpec("stat", ["--file-system", "--format=%T", path]), cancellationToken);
        return result.EnsureSucceeded($"stat {path}").StandardOutput.Trim();
    }

    /// <summary>The type of the file system inside an image file, for example <c>btrfs</c>; <c>nothing known</c> when there is none.</summary>
    public static async Task<string> FileSystemInAsync(string image, CancellationToken cancellationToken)
    {
        var probed = await ChildProcesses.RunAsync(new ChildProcessSpec("blkid", ["--probe", "--output", "value", "--match-tag", "TYPE", image]), cancellationToken);
        return probed.StandardOutput.Trim() is { Length: > 0 } type ? type : "nothing known";
    }

    /// <summary>Whether two files in a folder can share blocks; an XFS of before 2018 cannot. It is tried with two small files.</summary>
    public static async Task<bool> CanReflinkAsync(string folder, CancellationToken cancellationToken)
    {
        var (probe, copy) = (Path.Combine(folder, ".reflink-probe"), Path.Combine(folder, ".reflink-probe-copy"));
        try
        {
            await File.WriteAllBytesAsync(probe, new byte[4096], cancellationToken);
            return (await ChildProcesses.RunAsync(new ChildProcessSpec("cp", ["--reflink=always", probe, copy]), cancellationToken)).Succeeded;
        }
        finally
        {
            File.Delete(probe);
            File.Delete(copy);
        }
    }
}
