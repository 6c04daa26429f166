using Tributary.Contracts;

namespace Tributary.Cli.Output;

/// <summary>Branches as text.</summary>
static class BranchText
{
    public static void One(BranchResponse branch, TextWriter output) => TextTable.Write(
        output,
        ("branch", branch.Name),
        ("state", branch.State == BranchLife.Ready ? Words.Name(branch.Compute) : Words.Name(branch.State)),
        ("as of", branch.Origin == BranchOrigin.Now ? "now: all that production had acknowledged at the request" : $"seed {branch.SeedId}"),
        ("data", $"{branch.DataTime:yyyy-MM-dd HH:mm:ss.fff}Z at {branch.Lsn}, {Words.Milliseconds(branch.DataAgeMs)} old when it was made"),
        ("connections", $"{branch.Connections}"),
        ("size", branch.ExclusiveBytes is { } own && branch.TotalBytes is { } total ? $"{Words.Bytes(own)} of its own, {Words.Bytes(total)} with what it shares" : null),
        ("made in", branch.CreateMs is { } took ? Words.Milliseconds(took) : null),
        ("url", branch.Url),
        ("try", branch.Psql));

    public static void List(BranchListResponse list, TextWriter output)
    {
        if (list.Branches.Count == 0)
        {
            output.WriteLine("no branches; 'tributary branch create' makes one");
            return;
        }

        TextTable.Write(
            output, ["NAME", "STATE", "CREATED", "DATA AGE", "OWN BYTES", "CONNECTIONS"],
            list.Branches.Select(branch => new[]
            {
                branch.Name, branch.State == BranchLife.Ready ? Words.Name(branch.Compute) : Words.Name(branch.State), $"{branch.CreatedAt:yyyy-MM-dd HH:mm:ss}Z",
                Words.Milliseconds(branch.DataAgeMs), branch.ExclusiveBytes is { } own ? Words.Bytes(own) : "-", $"{branch.Connections}",
            }));
    }
}
