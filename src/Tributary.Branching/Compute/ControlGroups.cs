using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Logging;

namespace Tributary.Branching.Compute;

/// <summary>
/// The control groups of one state folder's servers: <c>tributary-HASH/NAME</c> below the group that this process itself is in, so that every
/// limit around Tributary (of a service, of a container) goes on to hold. Both versions of the kernel's interface serve:
/// https://docs.kernel.org/admin-guide/cgroup-v1/index.html (a tree for each controller) and
/// https://docs.kernel.org/admin-guide/cgroup-v2.html (one tree). Where neither can be written, servers run without.
/// </summary>
internal sealed class ControlGroups
{
    public const string MachineRoot = "/sys/fs/cgroup";

    static readonly string[] Limiting = ["pids", "memory", "cpu"];

    readonly IReadOnlyList<ControlGroupTree> _trees;
    readonly string _name;
    readonly Lock _lock = new();

    ControlGroups(IReadOnlyList<ControlGroupTree> trees, string name)
    {
        (_trees, _name) = (trees, name);
        var missing = Limiting.Where(controller => !trees.Any(tree => tree.Has(controller))).ToList();
        Obstacle = missing.Count == 0
            ? null
            : $"The control groups of this process cannot be written for {string.Join(", ", missing)}, so those limits do not hold for branches.";
    }

    /// <summary>Which limits cannot be set here, as a sentence; null when all can.</summary>
    public string? Obstacle { get; }

    /// <summary>Whether the kernel counts and bounds the processes of a group here.</summary>
    public bool BoundsProcesses => _trees.Any(tree => tree.Has("pids"));

    /// <summary>Finds the trees that can be written, and removes groups that an earlier process of the same state folder has left.</summary>
    /// <param name="stateDirectory">Names the groups: two Tributaries on one machine do not meet.</param>
    /// <param name="root">Where the trees are mounted: <see cref="MachineRoot"/>.</param>
    /// <param name="logger">Told once of limits that will not hold.</param>
    public static ControlGroups Open(string stateDirectory, string root, ILogger logger)
    {
        var groups = new ControlGroups([.. ControlGroupTree.Find(root, OwnGroups(), prepare: true)], NameFor(stateDirectory));
        if (groups.Obstacle is { } obstacle)
            Log.LimitsMissing(logger, obstacle);
        foreach (var parent in groups._trees.Select(groups.ParentIn).Where(Directory.Exists))
        {
            foreach (var leftover in Directory.EnumerateDirectories(parent))
                ControlGroup.TryRemove(leftover);
            ControlGroup.TryRemove(parent);
        }

        return groups;
    }

    /// <summary>The group that holds those of all servers of a state folder.</summary>
    public static string NameFor(string stateDirectory) =>
        $"tributary-{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(Path.GetFullPath(stateDirectory))))[..12]}";

    /// <summary>What <see cref="Obstacle"/> would be, found out without changing anything.</summary>
    public static string? FindObstacle(string root) => new ControlGroups([.. ControlGroupTree.Find(root, OwnGroups(), prepare: false)], "").Obstacle;

    /// <summary>Makes the group of one server, with its limits; null when no tree can be written.</summary>
    public ControlGroup? Create(string name, ComputeLimits limits)
    {
        var folders = new List<(ControlGroupTree Tree, string Folder)>();
        lock (_lock)
        {
            foreach (var tree in _trees.Where(tree => tree.Serves(limits)))
            {
                var folder = Path.Combine(ParentIn(tree), name);
                try
                {
                    tree.MakeParent(ParentIn(tree));
                    Directory.CreateDirectory(folder);
                    tree.Limit(folder, limits);
                    folders.Add((tree, folder));
                }
                catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
                {
                    // A limit that the kernel does not take leaves the others in force.
                    ControlGroup.TryRemove(folder);
                }
            }
        }

        return folders.Count == 0 ? null : new ControlGroup(folders, RemoveAsEmpty);
    }

    // The last server takes the folder of all away, so that a stopped Tributary leaves nothing behind.
    void RemoveAsEmpty()
    {
        lock (_lock)
        {
            foreach (var tree in _trees)
                ControlGroup.TryRemove(ParentIn(tree));
        }
    }

    string ParentIn(ControlGroupTree tree) => Path.Combine(tree.Folder, _name);

    // Lines of "number:controllers:path"; version 2 has no controllers there (cgroups(7)).
    static Dictionary<string, string> OwnGroups()
    {
        var groups = new Dictionary<string, string>();
        try
        {
            foreach (var line in File.ReadLines("/proc/self/cgroup"))
            {
                if (line.Split(':', 3) is [_, var controllers, var path])
                {
                    foreach (var controller in controllers.Split(','))
                        groups[controller] = path.TrimStart('/');
                }
            }
        }
        catch (IOException)
        {
            // A kernel without control groups has no such file.
        }

        return groups;
    }
}
