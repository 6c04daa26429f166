using System.Globalization;

namespace Tributary.Branching.Compute;

/// <summary>One tree of control groups and how its files are called: one controller's of version 1, or the whole of version 2.</summary>
/// <param name="Folder">The group of this process in the tree; ours are below it.</param>
/// <param name="Controllers">What can be limited or counted in it.</param>
internal sealed record ControlGroupTree(string Folder, IReadOnlyList<string> Controllers, bool IsUnified)
{
    /// <summary>The length of time over which processor time is rationed: the kernel's own default. A server never waits longer for its share.</summary>
    const int CpuPeriodMicroseconds = 100_000;

    /// <summary>The kernel takes no smaller ration (min_cfs_quota_period in kernel/sched/core.c).</summary>
    const int CpuQuotaMicrosecondsLeast = 1000;

    public bool Has(string controller) => Controllers.Contains(controller);

    /// <summary>The trees below <paramref name="root"/> that this process may write.</summary>
    /// <param name="prepare">Makes version 2 hand controllers on; without it nothing changes, and what would be possible is answered.</param>
    public static IEnumerable<ControlGroupTree> Find(string root, IReadOnlyDictionary<string, string> ownGroups, bool prepare)
    {
        var controllersFile = Path.Combine(root, "cgroup.controllers");
        return File.Exists(controllersFile)
            ? FindUnified(root, ownGroups.GetValueOrDefault("", ""), prepare)
            : FindByController(root, ownGroups);
    }

    static IEnumerable<ControlGroupTree> FindUnified(string root, string own, bool prepare)
    {
        // In a container the path is the host's while the mount begins at the container's own group.
        var folder = Directory.Exists(Path.Combine(root, own)) ? Path.Combine(root, own) : root;
        if (!IsWritable(folder))
            yield break;
        string[] offered = [.. ReadWords(Path.Combine(folder, "cgroup.controllers")).Intersect(["pids", "memory", "cpu"])];
        yield return new ControlGroupTree(folder, [.. offered.Where(controller => Enable(folder, controller, prepare)), "cpuacct"], IsUnified: true);
    }

    static IEnumerable<ControlGroupTree> FindByController(string root, IReadOnlyDictionary<string, string> ownGroups)
    {
        var found = new Dictionary<string, List<string>>();
        foreach (var controller in new[] { "pids", "memory", "cpu", "cpuacct" })
        {
            // Controllers that are mounted together have one folder and a link each.
            var mount = Path.Combine(root, controller);
            if (Directory.Exists(mount))
                mount = Directory.ResolveLinkTarget(mount, returnFinalTarget: true)?.FullName ?? mount;
            var own = Path.Combine(mount, ownGroups.GetValueOrDefault(controller, ""));
            var folder = Directory.Exists(own) ? own : mount;
            if (Directory.Exists(folder))
                (found.TryGetValue(folder, out var together) ? together : found[folder] = []).Add(controller);
        }

        return found.Where(pair => IsWritable(pair.Key)).Select(pair => new ControlGroupTree(pair.Key, pair.Value, IsUnified: false));
    }

    /// <summary>Whether a server with these limits needs a group here.</summary>
    public bool Serves(ComputeLimits limits) =>
        Has("cpuacct") || (Has("pids") && limits.ProcessesMax is not null) || (Has("memory") && limits.MemoryBytesMax is not null) || (Has("cpu") && limits.CpusMax is not null);

    public void MakeParent(string parent)
    {
        if (Directory.Exists(parent))
            return;
        Directory.CreateDirectory(parent);
        if (IsUnified)
        {
            foreach (var controller in Controllers.Where(controller => controller != "cpuacct"))
                File.WriteAllText(Path.Combine(parent, "cgroup.subtree_control"), $"+{controller}");
        }
    }

    public void Limit(string folder, ComputeLimits limits)
    {
        if (Has("pids") && limits.ProcessesMax is { } processes)
            Write(folder, "pids.max", processes);
        if (Has("memory") && limits.MemoryBytesMax is { } bytes)
        {
            Write(folder, IsUnified ? "memory.max" : "memory.limit_in_bytes", bytes);
            // Without a bound of its own, swap would take what memory refuses. A kernel without swap has no such file.
            var swap = Path.Combine(folder, IsUnified ? "memory.swap.max" : "memory.memsw.limit_in_bytes");
            if (File.Exists(swap))
                File.WriteAllText(swap, IsUnified ? "0" : bytes.ToString(CultureInfo.InvariantCulture));
        }

        if (Has("cpu") && limits.CpusMax is { } cpus)
        {
            var quota = Math.Max(CpuQuotaMicrosecondsLeast, (long)(cpus * CpuPeriodMicroseconds));
            if (IsUnified)
                File.WriteAllText(Path.Combine(folder, "cpu.max"), string.Create(CultureInfo.InvariantCulture, $"{quota} {CpuPeriodMicroseconds}"));
            else
                Write(folder, "cpu.cfs_quota_us", quota);
        }
    }

    /// <summary>What all processes that ever were in the group have used; null when it is not counted here.</summary>
    public TimeSpan? CpuTime(string folder)
    {
        if (!Has("cpuacct"))
            return null;
        if (!IsUnified)
            return TimeSpan.FromTicks(long.Parse(File.ReadAllText(Path.Combine(folder, "cpuacct.usage")), CultureInfo.InvariantCulture) / TimeSpan.NanosecondsPerTick);
        var usage = File.ReadLines(Path.Combine(folder, "cpu.stat")).FirstOrDefault(line => line.StartsWith("usage_usec ", StringComparison.Ordinal));
        return usage is null ? null : TimeSpan.FromMicroseconds(long.Parse(usage.AsSpan("usage_usec ".Length), CultureInfo.InvariantCulture));
    }

    // A group of version 2 that holds processes cannot hand controllers to groups below it. A service that is alone in its own group
    // moves aside; one that shares it with others, a shell for example, leaves things as they are.
    static bool Enable(string folder, string controller, bool prepare)
    {
        var control = Path.Combine(folder, "cgroup.subtree_control");
        if (ReadWords(control).Contains(controller) || (prepare && TryWrite(control, $"+{controller}")))
            return true;
        var processes = ReadWords(Path.Combine(folder, "cgroup.procs"));
        var alone = processes is [var only] && only == Environment.ProcessId.ToString(CultureInfo.InvariantCulture);
        if (!prepare || !alone)
            return !prepare && (alone || processes.Length == 0);
        var aside = Path.Combine(folder, "tributary-server");
        Directory.CreateDirectory(aside);
        return TryWrite(Path.Combine(aside, "cgroup.procs"), processes[0]) && TryWrite(control, $"+{controller}");
    }

    static bool IsWritable(string folder)
    {
        var probe = Path.Combine(folder, $"tributary-probe-{Environment.ProcessId}-{Guid.NewGuid():N}");
        try
        {
            Directory.CreateDirectory(probe);
            return ControlGroup.TryRemove(probe);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    static void Write(string folder, string file, long value) => File.WriteAllText(Path.Combine(folder, file), value.ToString(CultureInfo.InvariantCulture));

    static bool TryWrite(string file, string text)
    {
        try
        {
            File.WriteAllText(file, text);
            return true;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    static string[] ReadWords(string file)
    {
        try
        {
            return File.ReadAllText(file).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }
}
