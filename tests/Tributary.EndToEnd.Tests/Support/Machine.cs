using System.Globalization;

namespace Tributary.EndToEnd.Tests.Support;

/// <summary>What the kernel knows of mounts, loop devices and processes: the proof that nothing is left.</summary>
static class Machine
{
    /// <summary>Mounts on or below a folder.</summary>
    public static IReadOnlyList<string> Mounts(string folder) => [.. File.ReadLines("/proc/mounts").Where(line => line.Contains(folder + "/", StringComparison.Ordinal))];

    /// <summary>Loop devices whose image lies below a folder.</summary>
    public static IReadOnlyList<string> LoopDevices(string folder) =>
    [
        .. Directory.EnumerateDirectories("/sys/block", "loop*").Select(device => Path.Combine(device, "loop/backing_file")).Select(ReadOrEmpty)
            .Where(image => image.StartsWith(folder + "/", StringComparison.Ordinal)).Select(image => $"loop device on {image.Trim()}"),
    ];

    /// <summary>Processes whose command line names a folder.</summary>
    public static IReadOnlyList<string> ProcessesNaming(string folder) =>
        [.. ProcessIds().Select(id => (Id: id, Line: ReadOrEmpty($"/proc/{id}/cmdline"))).Where(process => process.Line.Contains(folder, StringComparison.Ordinal))
            .Select(process => $"{process.Id} {process.Line.Replace('\0', ' ')}")];

    /// <summary>Servers of a folder that a process has neither started nor adopted: they have mounted what lies below it.</summary>
    public static IReadOnlyList<string> StrayServers(string folder, int processId)
    {
        var tree = Tree(processId).Select(static process => process.Split(' ')[0]).ToHashSet();
        return
        [
            .. ProcessIds().Where(id => !tree.Contains($"{id}") && ReadOrEmpty($"/proc/{id}/mountinfo").Contains($"{folder}/run/", StringComparison.Ordinal))
                .Select(static id => $"{id} {ReadOrEmpty($"/proc/{id}/cmdline").Replace('\0', ' ')}"),
        ];
    }

    /// <summary>A process and all below it, each with the moment it began, so that a number used again is not taken for it.</summary>
    public static IReadOnlyList<string> Tree(int processId)
    {
        var children = ProcessIds().Select(id => (Id: id, Stat: Stat(id))).Where(process => process.Stat is not null).ToLookup(process => process.Stat!.Value.Parent);
        return Stat(processId) is { } root ? [.. Below(processId, root.Text)] : [];

        IEnumerable<string> Below(int id, string text) => [text, .. children[id].SelectMany(child => Below(child.Id, child.Stat!.Value.Text))];
    }

    /// <summary>Those of a tree that are Postgres by now, and not about to become it.</summary>
    public static IReadOnlyList<string> Servers(IReadOnlyList<string> tree) => [.. tree.Where(static process => process.Split(' ')[1].StartsWith("postgres", StringComparison.Ordinal))];

    /// <summary>Those of a tree that still run.</summary>
    public static IReadOnlyList<string> StillRunning(IReadOnlyList<string> tree) =>
        [.. tree.Where(process => Stat(int.Parse(process.Split(' ')[0], CultureInfo.InvariantCulture))?.Text == process)];

    /// <summary>Everything of a folder that outlives a program run on it.</summary>
    public static IReadOnlyList<string> LeftoversOf(string folder) => [.. Mounts(folder), .. LoopDevices(folder), .. ProcessesNaming(folder)];

    static IEnumerable<int> ProcessIds() => Directory.EnumerateDirectories("/proc").Select(Path.GetFileName)
        .Where(name => int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out _)).Select(name => int.Parse(name!, CultureInfo.InvariantCulture));

    // proc(5): after the program's name in brackets come the state, the parent and, as the 20th of these, the moment of the start.
    static (int Parent, string Text)? Stat(int processId)
    {
        var text = ReadOrEmpty($"/proc/{processId}/stat");
        if (text.LastIndexOf(')') is not (> 0 and var nameEnd))
            return null;
        var fields = text[(nameEnd + 2)..].Split(' ');
        var isGone = fields[0] is "Z" or "X"; // Ended, and only its parent has not heard of it.
        return isGone ? null : (int.Parse(fields[1], CultureInfo.InvariantCulture), $"{processId} {text[(text.IndexOf('(', StringComparison.Ordinal) + 1)..nameEnd]} {fields[19]}");
    }

    static string ReadOrEmpty(string file)
    {
        try
        {
            return File.ReadAllText(file);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }
}
