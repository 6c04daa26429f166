using Tributary.Branching.Storage;
using Tributary.Testing;

namespace Tributary.Branching.Tests.Storage;

public sealed class XfsDriverTests : StorageDriverContract
{
    protected override string DriverName => "xfs";

    protected override bool FreezeForbidsWrites => false;

    protected override Task<BranchingOptions> PrepareAsync(BranchingOptions options)
    {
        TestPrograms.Require("xfsprogs", "mkfs.xfs");
        return Task.FromResult(options);
    }

    [Fact]
    public async Task A_clone_owns_the_pages_that_it_has_written_and_no_more()
    {
        await Driver.CreateAsync("main", Token);
        await WriteAsync("main", "base", new string('a', 4 << 20));
        await Driver.CloneAsync("main", "branches/b1", Token);
        using (var file = File.OpenHandle(Path.Combine(Driver.PathOf("branches/b1"), "base"), FileMode.Open, FileAccess.Write))
        {
            for (var page = 0; page < 256; page++)
                RandomAccess.Write(file, new byte[8192], page * 2 * 8192L);
            RandomAccess.FlushToDisk(file);
        }

        var usage = await Driver.MeasureAsync(["branches/b1"], Token);

        Assert.Equal(new BranchUsage(256 * 8192, 4 << 20), usage["branches/b1"]);
    }

    [Fact]
    public async Task An_image_grows_with_the_configuration_and_is_never_made_smaller()
    {
        var before = Pool.Space().Max;

        await ReopenAsync(Options with { PoolBytesMax = 768L << 20 });
        Assert.Null(Pool.Warning);
        var grown = Pool.Space().Max;
        await ReopenAsync(Options with { PoolBytesMax = 1024L << 20 }, close: false);
        var grownWhileMounted = Pool.Space().Max;
        await ReopenAsync(Options);

        Assert.Equal((256L << 20, 256L << 20), (grown - before, grownWhileMounted - grown));
        Assert.Contains("never made smaller", Pool.Warning, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_image_of_another_driver_is_named_as_such()
    {
        await Pool.CloseAsync();

        var refused = await Assert.ThrowsAsync<StorageException>(() => Pool.OpenAsync(Options with { Driver = "btrfs" }, Token));

        Assert.Contains("It holds xfs", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_folder_that_is_named_on_an_xfs_is_used_by_itself()
    {
        var named = Options with { StateDirectory = Path.Combine(Options.StateDirectory, "a"), PoolPath = Path.Combine(Pool.Root, "shop"), Driver = "auto" };
        Directory.CreateDirectory(named.StateDirectory);

        var pool = await Pool.OpenAsync(named, Token);

        Assert.Equal("xfs", pool.Driver.Name);
        Assert.Null(await BranchingRemoval.RemoveStateAsync(named, Token));
        Assert.Empty(Directory.EnumerateFileSystemEntries(named.PoolPath!));
    }
}
