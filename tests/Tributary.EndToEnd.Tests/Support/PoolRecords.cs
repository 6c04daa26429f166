using System.Text.Json;

namespace Tributary.EndToEnd.Tests.Support;

/// <summary>What the pool of a state folder holds, read from its folders and the records beside its volumes, without the product.</summary>
static class PoolRecords
{
    /// <summary>State, volume and first volume of each branch in the records, deleted ones included.</summary>
    public static IReadOnlyList<(string Name, string State, string Volume, string? Birth, bool Settled)> Branches(string state)
    {
        var branches = new List<(string, string, string, string?, bool)>();
        foreach (var file in Directory.EnumerateFiles(Path.Combine(state, "pool/records"), "branch-*.json"))
        {
            using var record = JsonDocument.Parse(File.ReadAllBytes(file));
            var row = record.RootElement;
            var details = row.GetProperty("details");
            var number = details.TryGetProperty("number", out var own) ? own.GetInt64() : row.GetProperty("id").GetInt64();
            branches.Add((
                row.GetProperty("name").GetString()!, row.GetProperty("state").GetString()!, $"branches/b{number}",
                details.TryGetProperty("birth", out var birth) ? birth.GetString() : null, !details.TryGetProperty("unsettledBoot", out _)));
        }

        return branches;
    }

    /// <summary>
    /// Volumes that no record tells of, states that are not final, folders of servers of nothing, half-written records. Spares are left out:
    /// one is always being made.
    /// </summary>
    public static IReadOnlyList<string> Orphans(string state)
    {
        var branches = Branches(state);
        var seeds = Directory.EnumerateFiles(Path.Combine(state, "pool/records"), "seed-*.json").Select(file => $"seeds/{Path.GetFileNameWithoutExtension(file)["seed-".Length..]}");
        var known = branches.SelectMany(branch => new[] { branch.Volume, branch.Birth }).Concat(seeds).ToHashSet();
        var volumes = Folders(state, "branches").Concat(Folders(state, "births")).Where(volume => !File.Exists(Path.Combine(state, "pool", volume, "standby.signal")));
        return
        [
            .. volumes.Where(volume => !known.Contains(volume)).Select(volume => $"volume {volume} of no branch"),
            .. branches.Where(branch => branch.State is not ("Ready" or "Deleted")).Select(branch => $"branch {branch.Name} in state {branch.State}"),
            .. branches.Where(branch => !Directory.Exists(Path.Combine(state, "pool", branch.Volume))).Select(branch => $"branch {branch.Name} without its volume"),
            .. Directory.EnumerateFiles(Path.Combine(state, "pool/records"), "*.unfinished"),
        ];
    }

    static IEnumerable<string> Folders(string state, string folder) => Directory.Exists(Path.Combine(state, "pool", folder))
        ? Directory.EnumerateDirectories(Path.Combine(state, "pool", folder)).Select(path => $"{folder}/{Path.GetFileName(path)}")
        : [];
}
