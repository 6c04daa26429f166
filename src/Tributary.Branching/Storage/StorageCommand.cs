using System.Globalization;
using Tributary.Postgres.Programs;

namespace Tributary.Branching.Storage;

/// <summary>Runs a program of the file system and turns its failure into the one exception that storage throws.</summary>
internal static class StorageCommand
{
    /// <summary>Paths in one command: a bound on the length of a command line.</summary>
    const int PathsAtOnceMax = 200;

    /// <param name="what">Completes "Cannot …" in the message.</param>
    /// <exception cref="StorageException">The program failed.</exception>
    public static async Task RunAsync(string what, string program, IReadOnlyList<string> arguments, CancellationToken cancellationToken) =>
        EnsureSucceeded(what, await ChildProcesses.RunAsync(new ChildProcessSpec(program, arguments), cancellationToken));

    /// <param name="what">Completes "Cannot …" in the message.</param>
    /// <exception cref="StorageException">The program failed.</exception>
    public static void EnsureSucceeded(string what, ChildProcessResult result)
    {
        if (!result.Succeeded)
            throw Refused(what, result.StandardError.Trim());
    }

    /// <param name="what">Completes "Cannot …" in the message.</param>
    /// <param name="words">A program's or the kernel's.</param>
    public static StorageException Refused(string what, string words) => new($"Cannot {what}: {words}", isFull: SaysFull(words));

    /// <summary>Whether a program's or the kernel's words say that no space is left; <c>zfs</c> has words of its own.</summary>
    public static bool SaysFull(string message) =>
        message.Contains("No space left", StringComparison.Ordinal) || message.Contains("out of space", StringComparison.Ordinal);

    /// <summary>Bytes on disk by path, shared ones included. A server removes files while they are counted; the sum is then of what remained.</summary>
    public static async Task<IReadOnlyDictionary<string, long>> TotalBytesAsync(IReadOnlyList<string> paths, CancellationToken cancellationToken)
    {
        var totals = new Dictionary<string, long>();
        foreach (var chunk in paths.Chunk(PathsAtOnceMax))
        {
            var result = await ChildProcesses.RunAsync(new ChildProcessSpec("du", ["--summarize", "--block-size=1", .. chunk]), cancellationToken);
            foreach (var line in result.StandardOutput.Split('\n'))
            {
                if (line.Split('\t') is [var bytes, var path] && long.TryParse(bytes, NumberStyles.None, CultureInfo.InvariantCulture, out var total))
                    totals[path] = total;
            }
        }

        return totals;
    }

    public static IReadOnlyList<string> ListFolder(string root, string folder) => Directory.Exists(Path.Combine(root, folder))
        ? [.. Directory.EnumerateDirectories(Path.Combine(root, folder)).Select(path => $"{folder}/{Path.GetFileName(path)}").Order(StringComparer.Ordinal)]
        : [];
}
