using Tributary.Contracts;

namespace Tributary.Cli.Output;

/// <summary>What a removal took away, as text.</summary>
static class RemovalText
{
    public static void Write(RemovalResponse removal, TextWriter output)
    {
        foreach (var thing in removal.Removed)
            output.WriteLine($"removed {thing}");
    }
}
