using System.Globalization;

namespace Tributary.Demo.Figures;

/// <summary>Memory of the Postgres processes that run in sandboxes.</summary>
static class BranchMemory
{
    /// <summary>
    /// Their proportional set size in bytes: a page that several processes share counts once in all
    /// (https://docs.kernel.org/filesystems/proc.html, smaps_rollup). A process is counted when it runs in a process namespace below ours.
    /// </summary>
    public static long ProportionalBytes()
    {
        long bytes = 0;
        foreach (var directory in Directory.EnumerateDirectories("/proc"))
        {
            if (!char.IsAsciiDigit(Path.GetFileName(directory)[0]))
                continue;
            try
            {
                var status = File.ReadLines(Path.Combine(directory, "status")).ToList();
                if (status[0].EndsWith("\tpostgres", StringComparison.Ordinal) &&
                    status.Any(line => line.StartsWith("NSpid:", StringComparison.Ordinal) && line.Split('\t').Length > 2))
                    bytes += Pss(Path.Combine(directory, "smaps_rollup"));
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                // The process has ended while it was looked at.
            }
        }

        return bytes;
    }

    static long Pss(string file) => File.ReadLines(file)
        .Where(line => line.StartsWith("Pss:", StringComparison.Ordinal))
        .Sum(line => long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) * 1024);
}
