using System.Globalization;

namespace Tributary.Branching.Compute;

/// <summary>What the kernel tells of a server's processes under /proc.</summary>
internal static class ProcessTree
{
    /// <summary>The unit of times in /proc is a hundredth of a second on every Linux that .NET runs on (sysconf(_SC_CLK_TCK), proc(5)).</summary>
    const double TicksPerSecond = 100;

    /// <summary>
    /// What a process, its living descendants and those of its children that it has waited for have used. Grandchildren of a child that
    /// ended unwaited are missing, which a server does not have.
    /// </summary>
    public static TimeSpan CpuTime(int processId)
    {
        try
        {
            // The fields after the program's name, which stands in parentheses and may hold anything (proc(5)): 14 to 17 are utime, stime, cutime, cstime.
            var text = File.ReadAllText($"/proc/{processId}/stat");
            var fields = text[(text.LastIndexOf(')') + 2)..].Split(' ');
            var own = TimeSpan.FromSeconds(fields[11..15].Sum(field => long.Parse(field, CultureInfo.InvariantCulture)) / TicksPerSecond);
            return Children(processId).Aggregate(own, (sum, child) => sum + CpuTime(child));
        }
        catch (IOException)
        {
            return TimeSpan.Zero;
        }
    }

    /// <summary>A process and all its living descendants.</summary>
    public static IEnumerable<int> Of(int processId) => Children(processId).SelectMany(Of).Prepend(processId);

    /// <summary>Whether a process may still do something: it is neither stopped by a signal (T) nor ended (Z, X, or no such process).</summary>
    public static bool IsGoing(int processId)
    {
        try
        {
            var text = File.ReadAllText($"/proc/{processId}/stat");
            return text[text.LastIndexOf(')') + 2] is not ('T' or 't' or 'Z' or 'X');
        }
        catch (IOException)
        {
            return false;
        }
    }

    public static IReadOnlyList<int> Children(int processId)
    {
        try
        {
            return [.. File.ReadAllText($"/proc/{processId}/task/{processId}/children").Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(child => int.Parse(child, CultureInfo.InvariantCulture))];
        }
        catch (IOException)
        {
            return [];
        }
    }
}
