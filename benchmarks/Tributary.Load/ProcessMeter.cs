using System.Globalization;

namespace Tributary.Load;

/// <summary>
/// What processes cost, from the kernel's own books.
/// Source: proc(5), <c>/proc/pid/stat</c>, <c>/proc/pid/status</c> and <c>/proc/pid/smaps_rollup</c>.
/// </summary>
static class ProcessMeter
{
    // The kernel counts in ticks of 10 ms (USER_HZ is 100 on every Linux that .NET runs on): good for sums over many rounds.
    const int TickMs = 10;

    /// <summary>Processor time of all children of this process that have ended, and of their children, in milliseconds.</summary>
    public static double EndedChildrenCpuMs() => StatFields("self")![13..15].Sum(Ticks) * TickMs;

    /// <summary>Processor time of a process and of those of its children that have ended, in milliseconds; 0 when it is gone.</summary>
    public static double CpuMs(int processId) => (StatFields($"{processId}")?[11..15].Sum(Ticks) ?? 0) * TickMs;

    /// <summary>Memory of a process and all below it; a page that several share counts once in all.</summary>
    public static long TreeBytes(int processId) => Tree(processId).Sum(ProportionalBytes);

    /// <summary>Processor time of a process and all below it, ended ones included, in milliseconds.</summary>
    public static double TreeCpuMs(int processId) => Tree(processId).Sum(CpuMs);

    static List<int> Tree(int processId)
    {
        var parents = Directory.EnumerateDirectories("/proc")
            .Select(Path.GetFileName)
            .Where(name => int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out _))
            .Select(name => (Id: int.Parse(name!, CultureInfo.InvariantCulture), Fields: StatFields(name!)))
            .Where(process => process.Fields is not null)
            .ToLookup(process => int.Parse(process.Fields![1], CultureInfo.InvariantCulture), process => process.Id);
        List<int> tree = [processId];
        for (var i = 0; i < tree.Count; i++)
            tree.AddRange(parents[tree[i]]);
        return tree;
    }

    /// <summary>Memory of one process; a page that several share is divided among them.</summary>
    public static long ProportionalBytes(int processId) => KilobytesOf($"/proc/{processId}/smaps_rollup", "Pss:");

    /// <summary>The most memory that one process has had resident at once, pages that it shares with others included.</summary>
    public static long PeakResidentBytes(int processId) => KilobytesOf($"/proc/{processId}/status", "VmHWM:");

    static long KilobytesOf(string file, string field)
    {
        try
        {
            var line = File.ReadLines(file).FirstOrDefault(text => text.StartsWith(field, StringComparison.Ordinal));
            return line is null ? 0 : long.Parse(line[field.Length..^"kB".Length], CultureInfo.InvariantCulture) * 1024;
        }
        catch (IOException)
        {
            return 0; // It ended meanwhile.
        }
    }

    static long Ticks(string field) => long.Parse(field, CultureInfo.InvariantCulture);

    // The fields after the program's name, which stands in brackets and may hold blanks: [0] is the state, [1] the parent.
    static string[]? StatFields(string process)
    {
        try
        {
            var text = File.ReadAllText($"/proc/{process}/stat");
            return text[(text.LastIndexOf(')') + 2)..].Split(' ');
        }
        catch (IOException)
        {
            return null;
        }
    }
}
