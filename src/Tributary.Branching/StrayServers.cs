using System.Globalization;
using Microsoft.Extensions.Logging;
using Tributary.Postgres.Programs;

namespace Tributary.Branching;

/// <summary>
/// Ends servers, and the program that fills the archive, where they have outlived their Tributary. The kernel ends such a program with its parent
/// once it has been told to; a Tributary that is killed in the few milliseconds before that leaves one behind. Its data may be another server's by
/// the next start, and two servers on one data directory destroy it: process numbers and shared memory, by which Postgres would notice, are each
/// sandbox's own.
/// </summary>
internal static class StrayServers
{
    /// <summary>The variable in a server's environment that says whose it is. Until the server runs it is among the words of the command that starts it.</summary>
    public const string OwnerVariable = "TRIBUTARY_OWNER";

    /// <summary>The kernel ends a whole sandbox within this, unless its disk hangs.</summary>
    static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    const int OwnerChars = 32;

    static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(20);

    /// <summary>
    /// Names a state folder to its own servers, which shall not know where it lies. Two containers may each have one of the same path, and see each
    /// other's processes.
    /// </summary>
    /// <param name="runDirectory">Holds the folders of its servers.</param>
    /// <exception cref="IOException">The name can be neither read nor written.</exception>
    public static string OwnerOf(string runDirectory)
    {
        var file = Path.Combine(runDirectory, "owner");
        if (File.Exists(file) && File.ReadAllText(file) is { Length: OwnerChars } known)
            return known;
        Directory.CreateDirectory(runDirectory);
        var owner = Guid.NewGuid().ToString("N");
        File.WriteAllText(file, owner);
        return owner;
    }

    /// <summary>Ends the servers that others than this process have left, before any volume is touched.</summary>
    /// <exception cref="ChildProcessException">One of them does not end.</exception>
    public static async Task EndAsync(string runDirectory, TimeProvider time, ILogger logger, CancellationToken cancellationToken)
    {
        if (!Directory.Exists(runDirectory))
            return;
        var owner = OwnerOf(runDirectory);
        HashSet<int> ended = [];
        for (var started = time.GetTimestamp(); ;)
        {
            var strays = Find(owner);
            if (strays.Count == 0 && !ended.Any(Runs))
                return;
            if (time.GetElapsedTime(started) > Limit)
                throw new ChildProcessException($"A server of a run before, process {strays.Concat(ended.Where(Runs)).First()}, does not end. Its disk may hang; start again when it is gone.");
            foreach (var stray in strays)
            {
                if (ended.Add(stray))
                    Log.StrayEnded(logger, stray);
                await ChildProcesses.RunAsync(new ChildProcessSpec("/bin/kill", ["-s", "KILL", stray.ToString(CultureInfo.InvariantCulture)]), cancellationToken);
            }

            await Task.Delay(Interval, time, cancellationToken);
        }
    }

    // One that is being ended has no environment any more, and its files may be open still (proc(5): Z and X are those that have ended).
    static bool Runs(int processId)
    {
        try
        {
            var status = File.ReadAllText($"/proc/{processId}/stat");
            return status[status.LastIndexOf(')')..] is not [_, _, 'Z' or 'X', ..];
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    static IReadOnlyList<int> Find(string owner) =>
    [
        .. Directory.EnumerateDirectories("/proc").Select(static path => int.TryParse(Path.GetFileName(path), NumberStyles.None, CultureInfo.InvariantCulture, out var id) ? id : 0)
            .Where(id => id > 0 && id != Environment.ProcessId && (Holds(id, "environ", owner) || Holds(id, "cmdline", owner))),
    ];

    // What is another user's is none of ours, and may not be read.
    static bool Holds(int processId, string file, string owner)
    {
        try
        {
            return File.ReadAllText($"/proc/{processId}/{file}").Contains(owner, StringComparison.Ordinal);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }
}
