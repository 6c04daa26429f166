using Tributary.Branching.Storage;
using Tributary.Postgres.Programs;
using Tributary.Testing;

namespace Tributary.Branching.Tests.Storage;

public sealed class ZfsDriverTests(ZfsPool zfs) : StorageDriverContract, IClassFixture<ZfsPool>
{
    protected override string DriverName => "zfs";

    // zfs-fuse 0.7 lets an existing file of a read-only dataset be written, which the kernel's own ZFS does not; new files are refused by both.
    protected override bool FreezeForbidsWrites => false;

    // A larger write that runs out in its middle is the end of zfs-fuse 0.7: it asserts that a write is whole (zfsfuse_write, uio_resid == 0).
    // Postgres writes pages of 8 KiB, each a record of its own here, which fits or does not.
    protected override int FillBytes => 8192;

    string Dataset => Options.PoolPath!;

    protected override Task<BranchingOptions> PrepareAsync(BranchingOptions options)
    {
        if (zfs.Name is null)
            TestPrograms.Missing(zfs.Reason);
        return Task.FromResult(options with { PoolPath = $"{zfs.Name}/t{Guid.NewGuid().ToString("N")[..8]}" });
    }

    protected override async Task CleanAsync()
    {
        Assert.Null(await BranchingRemoval.RemoveStateAsync(Options, CancellationToken.None));
        Assert.DoesNotContain(await DatasetsAsync(zfs.Name!), name => name.StartsWith(Dataset, StringComparison.Ordinal));
    }

    protected override Task LeaveHalfCloneAsync(string source, string copy) => RunAsRootAsync("zfs", "snapshot", $"{Dataset}/{source}@{copy.Replace('/', '-')}");

    protected override async Task AssertNothingIsLeftAsync() => Assert.Equal([Dataset, $"{Dataset}/bases", $"{Dataset}/births", $"{Dataset}/branches", $"{Dataset}/kept", $"{Dataset}/seeds"], await DatasetsAsync(Dataset));

    [Fact]
    public async Task A_clone_that_a_crash_left_unmounted_is_listed_after_the_next_start()
    {
        await Driver.CreateAsync("main", Token);
        await Driver.CloneAsync("main", "branches/b1", Token);
        await RunAsRootAsync("zfs", "unmount", $"{Dataset}/branches/b1");

        await ReopenAsync(Options);

        Assert.Equal(["branches/b1"], Driver.List("branches"));
        await WriteAsync("branches/b1", "file", "x");
        Assert.Contains($"{Dataset}/branches/b1", (await ChildProcesses.RunAsync(new ChildProcessSpec("zfs", ["mount"]), Token)).StandardOutput, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_frozen_volume_takes_no_new_files()
    {
        await Driver.CreateAsync("seeds/s1", Token);
        await Driver.FreezeAsync("seeds/s1", Token);

        var refused = await Assert.ThrowsAsync<IOException>(() => WriteAsync("seeds/s1", "new", "x"));

        Assert.Contains("Read-only file system", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_dataset_of_another_state_folder_is_refused()
    {
        var refused = await Assert.ThrowsAsync<StorageException>(() => Pool.OpenAsync(Options with { StateDirectory = TestFolder.New("other") }, Token));

        Assert.Contains($"belongs to the state folder {Options.StateDirectory}", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_doctor_tells_a_missing_pool_from_a_healthy_one()
    {
        Assert.Empty(await PoolChecks.RunAsync(Options, Token));
        Assert.Contains("is not there", Assert.Single(await PoolChecks.RunAsync(Options with { PoolPath = "nowhere/shop" }, Token)), StringComparison.Ordinal);
        Assert.Contains("needs the name of a dataset", Assert.Single(await PoolChecks.RunAsync(Options with { PoolPath = null }, Token)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_pool_knows_what_all_volumes_take()
    {
        await Driver.CreateAsync("main", Token);
        await WriteAsync("main", "file", new string('a', 4 << 20));

        await MeasureAsync(["main"], found => found["main"].TotalBytes >= 4 << 20 && Pool.Space().Used >= 4 << 20);

        Assert.InRange(Pool.Space().Max, 300L << 20, 512L << 20);
    }

    static async Task<IReadOnlyList<string>> DatasetsAsync(string below) =>
        (await ChildProcesses.RunAsync(new ChildProcessSpec("zfs", ["list", "-H", "-o", "name", "-t", "all", "-r", below]), CancellationToken.None)).StandardOutput.Split('\n', StringSplitOptions.RemoveEmptyEntries);
}
