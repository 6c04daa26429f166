using Tributary.Contracts;

namespace Tributary.Cli.Output;

/// <summary>What a repair has done, as text.</summary>
static class RepairText
{
    public static void Write(RepairResponse repair, TextWriter output)
    {
        foreach (var thing in repair.Ended)
            output.WriteLine($"ended {thing}");
        if (!repair.Rebuilt)
        {
            output.WriteLine("the catalog is whole and has been left as it is");
            return;
        }

        if (repair.SetAside is { } aside)
            output.WriteLine($"set the damaged catalog aside as {aside}");
        output.WriteLine($"rebuilt the catalog: {repair.Branches.Count} branches, {repair.Seeds} seeds");
        foreach (var branch in repair.Branches)
            output.WriteLine($"  {branch}");
        foreach (var lost in repair.LeftOut)
            output.WriteLine($"left out {lost.What}: {lost.Reason}");
        foreach (var folder in repair.KeptAside)
            output.WriteLine($"kept {folder}, which no record tells of; remove it when nobody misses it");
        output.WriteLine("start the server again: tributary up");
    }
}
