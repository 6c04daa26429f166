namespace Tributary.Branching.Tests.Storage;

/// <summary>On a file system of its own in memory, which can share nothing and can be filled.</summary>
public sealed class CopyDriverTests : StorageDriverContract
{
    protected override string DriverName => "copy";

    protected override bool FreezeForbidsWrites => false;

    protected override async Task<BranchingOptions> PrepareAsync(BranchingOptions options)
    {
        var place = Path.Combine(options.StateDirectory, "place");
        Directory.CreateDirectory(place);
        await RunAsRootAsync("mount", "-t", "tmpfs", "-o", "size=256m", "tmpfs", place);
        return options with { PoolPath = place };
    }

    protected override Task CleanAsync() => RunAsRootAsync("umount", Options.PoolPath!);
}
