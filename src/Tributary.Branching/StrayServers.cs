using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Logging;
using Tributary.Postgres.Programs;

namespace Tributary.Branching;

/// <summary>
/// Ends sandboxed servers, and the program that fills the archive, where they have outlived their Tributary. The kernel ends such a program with its parent once it has been told to; a Tributary that is
/// killed in the few milliseconds before that leaves one behind. Its data may be another server's by the next start, and two servers on
/// one data directory destroy it: process numbers and shared memory, by which Postgres would notice, are each sandbox's own.
/// </summary>
internal static class StrayServers
{
    /// <summary>The variable in a server's environment that says whose it is. Until the server runs it is among the words of the command that starts it.</summary>
    public const string OwnerVariable = "TRIBUTARY_OWNER";

    /// <summary>The kernel ends a whole sandbox within this, unless its disk hangs.</summary>
    static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(20);

    /// <summary>Names a state folder to its own servers, which shall not know where it lies.</summary>
    /// <param name="runDirectory">Holds the folders of its servers.</param>
    public static string OwnerOf(string runDirectory) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(Path.GetFullPath(runDirectory))));

    /// <summary>Ends the servers that others than this process have left, before any volume is touched.</summary>
    /// <exception cref="ChildProcessException">One of them does not end.</exception>
    public static async Task EndAsync(string runDirectory, TimeProvider time, ILogger logger, CancellationToken cancellationToken)
    {
        var owner = OwnerOf(runDirectory);
        for (var started = time.GetTimestamp(); Find(owner) is [_, ..] strays;)
        {
            if (time.GetElapsedTime(started) > Limit)
                throw new ChildProcessException($"A server of a run before, process {strays[0]}, does not end. Its disk may hang; start again when it is gone.");
            foreach (var stray in strays)
            {
                Log.StrayEnded(logger, stray);
                await ChildProcesses.RunAsync(new ChildProcessSpec("/bin/kill", ["-s", "KILL", stray.ToString(CultureInfo.InvariantCulture)]), cancellationToken);
            }

            await Task.Delay(Interval, time, cancellationToken);
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
