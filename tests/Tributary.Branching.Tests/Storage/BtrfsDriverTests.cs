using Tributary.Branching.Storage;
using Tributary.Postgres.Programs;

namespace Tributary.Branching.Tests.Storage;

public sealed class BtrfsDriverTests : StorageDriverContract
{
    protected override string DriverName => "btrfs";

    // A snapshot is there or not: the leftover is a subvolume that nobody has finished to set up.
    protected override async Task LeaveHalfCloneAsync(string source, string copy)
    {
        await RunAsRootAsync("btrfs", "subvolume", "create", Driver.PathOf(copy));
        await WriteAsync(copy, "half", "x");
    }

    [Fact]
    public async Task An_image_grows_with_the_configuration_and_is_never_made_smaller()
    {
        await Driver.CreateAsync("main", Token);
        await WriteAsync("main", "file", "kept");
        var before = Pool.Space().Max;

        await ReopenAsync(Options with { PoolBytesMax = 768L << 20 });
        var grown = Pool.Space().Max;
        Assert.Null(Pool.Warning);
        await ReopenAsync(Options with { PoolBytesMax = 1024L << 20 }, close: false);
        var grownWhileMounted = Pool.Space().Max;
        await ReopenAsync(Options);

        Assert.Equal((512L << 20, 768L << 20, 1024L << 20, 1024L << 20), (before, grown, grownWhileMounted, Pool.Space().Max));
        Assert.Contains("never made smaller", Pool.Warning, StringComparison.Ordinal);
        Assert.Equal("kept", await File.ReadAllTextAsync(Path.Combine(Driver.PathOf("main"), "file"), Token));
    }

    [Fact]
    public async Task An_image_is_as_large_as_its_disk_allows_and_grows_when_it_fills_up_and_there_is_room()
    {
        var disk = Path.Combine(Options.StateDirectory, "disk");
        Directory.CreateDirectory(disk);
        await RunAsRootAsync("mount", "-t", "tmpfs", "-o", "size=320m", "tmpfs", disk);
        try
        {
            var small = await Pool.OpenAsync(Options with { StateDirectory = disk }, Token);
            var made = small.Space().Max;
            await RunAsRootAsync("mount", "-o", "remount,size=1g", disk);
            var grewWhileEmpty = await small.GrowAsync(Token);
            await small.Driver.CreateAsync("main", Token);
            await using (var file = new FileStream(Path.Combine(small.Driver.PathOf("main"), "file"), FileMode.CreateNew))
            {
                await file.WriteAsync(new byte[200 << 20], Token);
                file.Flush(flushToDisk: true);
            }

            var shortOfRoom = await PoolChecks.RunAsync(Options with { StateDirectory = disk }, Token);
            var grew = await small.GrowAsync(Token);
            var grewTwice = await small.GrowAsync(Token);
            var grown = small.Space().Max;
            await RunAsRootAsync("mount", "-o", "remount,size=400m", disk);
            var afterOthers = await PoolChecks.RunAsync(Options with { StateDirectory = disk }, Token);
            await small.CloseAsync();

            Assert.Equal((304L << 20, false, true, false, 512L << 20), (made, grewWhileEmpty, grew, grewTwice, grown));
            Assert.Empty(shortOfRoom);
            Assert.Contains("when the disk is full before the pool is", Assert.Single(afterOthers), StringComparison.Ordinal);
        }
        finally
        {
            // The kernel lets go of the image a moment after the pool is unmounted.
            await RunAsRootAsync("umount", "--lazy", disk);
        }
    }

    [Fact]
    public async Task Closing_waits_for_a_process_that_holds_the_mount_a_moment_longer()
    {
        await Driver.CreateAsync("main", Token);
        await WriteAsync("main", "file", "kept");
        var held = new FileStream(Path.Combine(Driver.PathOf("main"), "file"), FileMode.Open, FileAccess.Read);

        var closing = Pool.CloseAsync();
        // Long enough that the first attempts to unmount fail: without a second one the closing would have failed by then.
        await Task.Delay(TimeSpan.FromSeconds(1), TimeProvider.System, Token);
        var waited = !closing.IsCompleted;
        await held.DisposeAsync();
        await closing;

        Assert.True(waited);
        Assert.DoesNotContain(Options.StateDirectory, await File.ReadAllTextAsync("/proc/mounts", Token), StringComparison.Ordinal);
        await ReopenAsync(Options, close: false);
        Assert.Equal("kept", await ReadAsync("main", "file"));
    }

    [Fact]
    public async Task A_disk_without_room_for_an_image_is_an_error_that_says_so()
    {
        var disk = Path.Combine(Options.StateDirectory, "disk");
        Directory.CreateDirectory(disk);
        await RunAsRootAsync("mount", "-t", "tmpfs", "-o", "size=200m", "tmpfs", disk);
        try
        {
            var refused = await Assert.ThrowsAsync<StorageException>(() => Pool.OpenAsync(Options with { StateDirectory = disk }, Token));

            Assert.Contains("has room for an image of 190 MiB, and it takes at least 256 MiB", refused.Message, StringComparison.Ordinal);
        }
        finally
        {
            await RunAsRootAsync("umount", "--lazy", disk);
        }
    }

    [Fact]
    public async Task An_image_that_cannot_be_mounted_is_an_error_with_what_the_check_finds_also_when_the_driver_is_chosen_by_itself()
    {
        await Pool.CloseAsync();
        await using (var image = new FileStream(Path.Combine(Options.StateDirectory, "pool.img"), FileMode.Open))
        {
            // The superblock and its copy: https://btrfs.readthedocs.io/en/latest/dev/On-disk-format.html
            foreach (var offset in new[] { 64L << 10, 64L << 20 })
            {
                image.Position = offset;
                await image.WriteAsync(new byte[4096], Token);
            }
        }

        var refused = await Assert.ThrowsAsync<StorageException>(() => Pool.OpenAsync(Options with { Driver = "auto" }, Token));

        Assert.Contains("btrfs check --readonly", refused.Message, StringComparison.Ordinal);
        Assert.Contains("tributary destroy", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_close_that_did_not_happen_is_known_to_the_doctor_until_the_next_start()
    {
        Assert.Empty(await PoolChecks.RunAsync(Options, Token));
        await RunAsRootAsync("umount", Pool.Root);

        var fault = Assert.Single(await PoolChecks.RunAsync(Options, Token));
        await ReopenAsync(Options, close: false);

        Assert.Contains("was not unmounted", fault, StringComparison.Ordinal);
        Assert.Null(Pool.Warning);
        Assert.Empty(await PoolChecks.RunAsync(Options, Token));
        await Pool.CloseAsync();
        Assert.Empty(await PoolChecks.RunAsync(Options, Token));
    }

    [Fact]
    public async Task A_folder_that_is_named_serves_one_state_folder_and_is_empty_after_the_removal()
    {
        var named = Options with { StateDirectory = Path.Combine(Options.StateDirectory, "a"), PoolPath = Path.Combine(Pool.Root, "shop") };
        Directory.CreateDirectory(named.StateDirectory);

        var pool = await Pool.OpenAsync(named with { Driver = "auto" }, Token);
        await pool.Driver.CreateAsync("seeds/s1", Token);
        await pool.Driver.CloneAsync("seeds/s1", "branches/b1", Token);
        await pool.Driver.FreezeAsync("seeds/s1", Token);
        var refused = await Assert.ThrowsAsync<StorageException>(() => Pool.OpenAsync(named with { StateDirectory = Options.StateDirectory }, Token));
        await pool.CloseAsync();
        Assert.Empty(await PoolChecks.RunAsync(named, Token));

        Assert.Equal(("btrfs", $"{named.PoolPath}/branches/b1"), (pool.Driver.Name, pool.Driver.PathOf("branches/b1")));
        Assert.Contains("another state folder", refused.Message, StringComparison.Ordinal);
        Assert.Null(await BranchingRemoval.RemoveStateAsync(named, Token));
        Assert.Empty(Directory.EnumerateFileSystemEntries(named.PoolPath!));
    }

    [Fact]
    public async Task A_folder_that_is_named_on_another_file_system_is_refused_or_copied_to()
    {
        var named = Options with { PoolPath = Path.Combine(Options.StateDirectory, "elsewhere") };

        var refused = await Assert.ThrowsAsync<StorageException>(() => Pool.OpenAsync(named, Token));
        var copying = await Pool.OpenAsync(named with { Driver = "auto" }, Token);

        Assert.Contains("not on btrfs", refused.Message, StringComparison.Ordinal);
        Assert.Equal("copy", copying.Driver.Name);
        Assert.Contains("full copies", copying.Warning, StringComparison.Ordinal);
        Assert.Contains("branches are full copies", Assert.Single(await PoolChecks.RunAsync(named with { Driver = "auto" }, Token)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_compressed_volume_takes_a_fraction_of_what_is_written()
    {
        await Driver.CreateAsync("archive", Token);
        await Driver.CompressAsync("archive", Token);
        var free = await FreeAsync();

        await WriteAsync("archive", "segment", new string('\0', 64 << 20));

        Assert.InRange(free - await FreeAsync(), 0, 8 << 20);

        async Task<long> FreeAsync()
        {
            (await ChildProcesses.RunAsync(new ChildProcessSpec("btrfs", ["filesystem", "sync", Pool.Root]), Token)).EnsureSucceeded("btrfs filesystem sync");
            return new DriveInfo(Pool.Root).AvailableFreeSpace;
        }
    }

    [Fact]
    public async Task What_a_branch_has_written_is_what_the_file_system_calls_exclusive()
    {
        await Driver.CreateAsync("main", Token);
        await WriteAsync("main", "base", new string('a', 4 << 20));
        await Driver.CloneAsync("main", "branches/b1", Token);
        using (var file = File.OpenHandle(Path.Combine(Driver.PathOf("branches/b1"), "base"), FileMode.Open, FileAccess.Write))
        {
            for (var page = 0; page < 64; page++)
                RandomAccess.Write(file, new byte[8192], page * 4 * 8192L);
            RandomAccess.FlushToDisk(file);
        }

        var usage = await Driver.MeasureAsync(["branches/b1"], Token);
        var shown = await ChildProcesses.RunAsync(new ChildProcessSpec("btrfs", ["filesystem", "du", "--summarize", "--raw", Driver.PathOf("branches/b1")]), Token);

        Assert.Contains($" {usage["branches/b1"].ExclusiveBytes} ", shown.StandardOutput, StringComparison.Ordinal);
        Assert.Equal(64 * 8192, usage["branches/b1"].ExclusiveBytes);
    }

    // What the file system prints has a name as it is, and whoever is superuser in a branch names its files.
    [Theory]
    [InlineData("inode 257 file offset 0 len 9223372036854775807 disk start 1 offset 0 gen 9999999 flags NONE a")]
    [InlineData("inode 257 file offset -8192 len -9000000 disk start 1 offset 0 gen 9999999 flags NONE a")]
    [InlineData("transid marker was 99999999999999999999")]
    public async Task A_name_that_looks_like_a_line_of_the_books_does_not_falsify_them(string line)
    {
        await Driver.CreateAsync("main", Token);
        await Driver.CloneAsync("main", "branches/b1", Token);
        await WriteAsync("branches/b1", $"a\n{line}\nb", new string('a', 1 << 20));

        var usage = await Driver.MeasureAsync(["branches/b1"], Token);

        Assert.Equal(1 << 20, usage["branches/b1"].ExclusiveBytes);
    }
}
