using Tributary.Contracts;

namespace Tributary.Cli.Output;

/// <summary>Branches as text.</summary>
static class BranchText
{
    public static void One(BranchResponse branch, TextWriter output) => TextTable.Write(
        output,
        ("branch", branch.Name),
        ("state", branch.State == BranchLife.Ready ? Words.Name(branch.Compute) : Words.Name(branch.State)),
        ("as of", AsOf(branch)),
        ("data", $"{branch.DataTime:yyyy-MM-dd HH:mm:ss.fff}Z at {branch.Lsn}, {Words.Milliseconds(branch.DataAgeMs)} old when it was made"),
        ("owner", branch.Owner),
        ("labels", branch.Labels.Count > 0 ? string.Join(", ", branch.Labels.Select(label => $"{label.Key}={label.Value}")) : null),
        ("protected", branch.Protected ? "yes" : null),
        ("deleted", branch.DeletedAt is { } deleted ? $"{deleted:yyyy-MM-dd HH:mm:ss}Z" : null),
        ("ends", branch.ExpiresAt is { } end ? $"{end:yyyy-MM-dd HH:mm:ss}Z{(branch.TtlFrom == BranchTtlStart.LastUse ? ", later when it is used" : "")}" : null),
        ("durability", branch.Durability == BranchDurability.Durable ? "durable" : null),
        ("settings", branch.Settings.Count > 0 ? string.Join(", ", branch.Settings.Select(setting => $"{setting.Key}={setting.Value}")) : null),
        ("connections", $"{branch.Connections} now, {branch.ConnectionsTotal} in all"),
        ("compute", $"{Words.Milliseconds(branch.RunSeconds * 1000)} awake, {Words.Milliseconds(branch.CpuSeconds * 1000)} of a processor"),
        ("size", branch.ExclusiveBytes is { } own && branch.TotalBytes is { } total ? $"{Words.Bytes(own)} of its own, {Words.Bytes(total)} with what it shares" : null),
        ("made in", branch.CreateMs is { } took ? Words.Milliseconds(took) : null),
        ("note", branch.Note),
        ("url", branch.Url),
        ("try", branch.Psql));

    /// <summary>Each branch below the one that it was forked from; one whose parent is gone stands at the left.</summary>
    public static void Tree(BranchListResponse list, TextWriter output)
    {
        output.WriteLine("main");
        var ids = list.Branches.Select(branch => branch.Id).ToHashSet();
        var children = list.Branches.ToLookup(branch => branch.ParentId is { } parent && ids.Contains(parent) ? parent : 0);
        Below(0, "");

        void Below(long parent, string indent)
        {
            var all = children[parent].ToList();
            for (var i = 0; i < all.Count; i++)
            {
                var isLast = i == all.Count - 1;
                output.WriteLine($"{indent}{(isLast ? "└─ " : "├─ ")}{all[i].Name}{(all[i].Protected ? "  protected" : "")}  {all[i].Lsn}, {all[i].DataTime:yyyy-MM-dd HH:mm:ss}Z{(all[i].ParentId is { } gone && parent == 0 ? $"  forked from a deleted branch ({gone})" : "")}");
                Below(all[i].Id, indent + (isLast ? "   " : "│  "));
            }
        }
    }

    static string AsOf(BranchResponse branch) => branch.Origin switch
    {
        BranchOrigin.Now => "now: all that had been acknowledged at the request",
        BranchOrigin.Point => "a moment of production's past",
        BranchOrigin.Branch => $"branch {branch.Parent ?? "(deleted)"}: all that it had acknowledged at the request",
        _ => $"seed {branch.SeedId}",
    };

    public static void List(BranchListResponse list, TextWriter output)
    {
        if (list.Branches.Count == 0)
        {
            output.WriteLine("no branches; 'tributary branch create' makes one");
            return;
        }

        TextTable.Write(
            output, ["NAME", "STATE", "CREATED", "LSN", "DATA AGE", "OWN BYTES", "CONNECTIONS", "OWNER"],
            list.Branches.Select(branch => new[]
            {
                branch.Name, branch.State == BranchLife.Ready ? Words.Name(branch.Compute) : Words.Name(branch.State), $"{branch.CreatedAt:yyyy-MM-dd HH:mm:ss}Z",
                branch.Lsn, Words.Milliseconds(branch.DataAgeMs), branch.ExclusiveBytes is { } own ? Words.Bytes(own) : "-", $"{branch.Connections}",
                branch.Owner ?? "-",
            }));
    }
}
