using System.Globalization;

namespace Tributary.Branching.Compute;

/// <summary>The lines of <c>postgresql.conf</c> of one branch, beyond those that every server of ours has. A later line wins over an earlier one.</summary>
internal static class ComputeSettings
{
    const long SharedBuffersLeast = 16L << 20;

    const long SharedBuffersMost = 128L << 20;

    /// <param name="name">The branch, as its sessions and its log show it.</param>
    /// <param name="required">What production's log requires of a server that replays it.</param>
    /// <param name="extra">The branch's own settings, which have passed <see cref="BranchSettings"/>.</param>
    public static IReadOnlyList<string> Lines(
        BranchingOptions options, string name, IReadOnlyList<string> required, Durability durability, IReadOnlyDictionary<string, string> extra) =>
    [
        $"shared_buffers = {options.SharedBuffers ?? AutomaticSharedBuffers(options, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes)}",
        $"synchronous_commit = {(durability == Durability.Durable ? "on" : "off")}",
        // A logical slot of the branch can tell what was changed in it.
        "wal_level = logical",
        // The first change of a page writes all of it into the log; compressed, it is a fraction of what the branch costs.
        "wal_compression = on",
        "max_wal_size = 512MB",
        $"cluster_name = {BranchSettings.Quote(name)}",
        .. required,
        .. extra.OrderBy(setting => setting.Key, StringComparer.Ordinal).Select(setting => $"{setting.Key} = {BranchSettings.Quote(setting.Value)}"),
    ];

    /// <summary>The rule is in <see cref="BranchingOptions.SharedBuffers"/>. Whole megabytes, since Postgres rounds to pages anyway.</summary>
    public static string AutomaticSharedBuffers(BranchingOptions options, long machineBytes)
    {
        var share = Math.Clamp(machineBytes / 4 / options.RunningMax, SharedBuffersLeast, SharedBuffersMost);
        if (options.BranchMemoryMax is { } most)
            share = Math.Max(1 << 20, Math.Min(share, most / 4));
        return string.Create(CultureInfo.InvariantCulture, $"{share >> 20}MB");
    }
}
