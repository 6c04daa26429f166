using Tributary.Postgres.Programs;

namespace Tributary.Branching.Storage;

/// <summary>Runs a program of the file system and turns its failure into the one exception that storage throws.</summary>
internal static class StorageCommand
{
    /// <param name="what">Completes "Cannot …" in the message.</param>
    /// <exception cref="StorageException">The program failed.</exception>
    public static async Task RunAsync(string what, string program, IReadOnlyList<string> arguments, CancellationToken cancellationToken)
    {
        var result = await ChildProcesses.RunAsync(new ChildProcessSpec(program, arguments), cancellationToken);
        if (!result.Succeeded)
        {
            throw new StorageException(
                $"Cannot {what}: {result.StandardError.Trim()}",
                isFull: result.StandardError.Contains("No space left", StringComparison.Ordinal));
        }
    }

    public static IReadOnlyList<string> ListFolder(string root, string folder) => Directory.Exists(Path.Combine(root, folder))
        ? [.. Directory.EnumerateDirectories(Path.Combine(root, folder)).Select(path => $"{folder}/{Path.GetFileName(path)}").Order(StringComparer.Ordinal)]
        : [];
}
