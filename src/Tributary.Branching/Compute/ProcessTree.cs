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

    /// <summary>The children that any thread of the process has started; the first thread's come first.</summary>
    public static IReadOnlyList<int> Children(int processId)
    {
        try
        {
            return
            [
                .. Directory.EnumerateDirectories($"/proc/{processId}/task").OrderBy(thread => int.Parse(Path.GetFileName(thread), CultureInfo.InvariantCulture))
                    .SelectMany(thread => File.ReadAllText($"{thread}/children").Split(' ', StringSplitOptions.RemoveEmptyEntries))
                    .Select(child => int.Parse(child, CultureInfo.InvariantCulture)),
            ];
        }
        catch (IOException)
        {
            return [];
        }
    }

    /// <summary>Its command line; Postgres writes there what each of its processes is. Null when it is gone.</summary>
    public static string? Title(int processId)
    {
        try
        {
            return File.ReadAllText($"/proc/{processId}/cmdline");
        }
        catch (IOException)
        {
            return null;
        }
    }

    /// <summary>Whether each thread of the process is stopped or has ended.</summary>
    public static bool IsStill(int processId)
    {
        try
        {
            // The state is the letter after the name in parentheses (proc(5)): T is stopped, Z has ended and waits for its parent, X is going.
            return Directory.EnumerateDirectories($"/proc/{processId}/task").Select(thread => File.ReadAllText($"{thread}/stat"))
                .All(text => text[text.LastIndexOf(')') + 2] is 'T' or 'Z' or 'X');
        }
        catch (IOException)
        {
            return !Directory.Exists($"/proc/{processId}");
        }
    }
}
