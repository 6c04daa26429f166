using Tributary.Postgres.Programs;

namespace Tributary.Branching.Storage;

/// <summary>
/// Runs <c>zfs</c>. What unmounts a dataset and goes on with it is tried again while ZFS calls it busy: zfs-fuse learns of the unmount only when the
/// kernel has told it, some milliseconds after the system call, and any ZFS may meet a process that looks at every file system for a moment.
/// </summary>
internal static class ZfsCommand
{
    static readonly TimeSpan BusyPause = TimeSpan.FromMilliseconds(20);

    /// <summary>Tries after which a dataset is busy for another reason: 5 s.</summary>
    const int TriesMax = 250;

    /// <summary>Answers what the program said, also when it failed.</summary>
    public static async Task<ChildProcessResult> TryAsync(IReadOnlyList<string> arguments, CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            var result = await ChildProcesses.RunAsync(new ChildProcessSpec("zfs", arguments), cancellationToken);
            if (result.Succeeded || attempt == TriesMax || !result.StandardError.Contains("dataset is busy", StringComparison.Ordinal))
                return result;
            await Task.Delay(BusyPause, TimeProvider.System, cancellationToken);
        }
    }

    /// <param name="what">Completes "Cannot …" in the message.</param>
    /// <exception cref="StorageException">The program failed.</exception>
    public static async Task RunAsync(string what, IReadOnlyList<string> arguments, CancellationToken cancellationToken) =>
        StorageCommand.EnsureSucceeded(what, await TryAsync(arguments, cancellationToken));
}
