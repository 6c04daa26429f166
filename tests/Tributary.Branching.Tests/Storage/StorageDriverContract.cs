using Tributary.Branching.Storage;
using Tributary.Postgres;
using Tributary.Testing;

namespace Tributary.Branching.Tests.Storage;

/// <summary>What every storage driver promises.</summary>
public abstract class StorageDriverContract : IAsyncLifetime
{
    Pool _pool = null!;

    protected abstract string DriverName { get; }

    private protected IStorageDriver Driver => _pool.Driver;

    protected static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _pool = await Pool.OpenAsync(
        new BranchingOptions
        {
            StateDirectory = TestFolder.New("pool"),
            Source = new PostgresUrl { Host = "127.0.0.1", User = "nobody", Database = "none" },
            Driver = DriverName,
            PoolBytesMax = 1L << 30,
        }, Token);

    public async ValueTask DisposeAsync()
    {
        await _pool.CloseAsync();
        GC.SuppressFinalize(this);
    }

    [Fact]
    public void Is_the_driver_that_was_asked_for() => Assert.Equal(DriverName, Driver.Name);

    [Fact]
    public async Task A_new_volume_is_empty_and_its_owners_alone()
    {
        await Driver.CreateAsync("main", Token);

        Assert.Empty(Directory.EnumerateFileSystemEntries(Driver.PathOf("main")));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(Driver.PathOf("main")));
    }

    [Fact]
    public async Task A_clone_holds_what_its_source_held_and_neither_sees_the_others_writes()
    {
        await Driver.CreateAsync("main", Token);
        await WriteAsync("main", "kept", "old");
        await WriteAsync("main", "changed", "old");

        await Driver.CloneAsync("main", "branches/b1", Token);
        await WriteAsync("branches/b1", "changed", "by the clone");
        await WriteAsync("main", "kept", "by the source");

        Assert.Equal("old", await ReadAsync("branches/b1", "kept"));
        Assert.Equal("by the clone", await ReadAsync("branches/b1", "changed"));
        Assert.Equal("old", await ReadAsync("main", "changed"));
    }

    [Fact]
    public async Task A_repeated_clone_replaces_the_one_before()
    {
        await Driver.CreateAsync("main", Token);
        await Driver.CloneAsync("main", "branches/b1", Token);
        await WriteAsync("branches/b1", "leftover", "x");

        await Driver.CloneAsync("main", "branches/b1", Token);

        Assert.Empty(Directory.EnumerateFileSystemEntries(Driver.PathOf("branches/b1")));
    }

    [Fact]
    public async Task A_deleted_volume_is_gone_also_when_frozen_and_a_second_deletion_is_no_error()
    {
        await Driver.CreateAsync("seeds/s1", Token);
        await WriteAsync("seeds/s1", "file", "x");
        await Driver.FreezeAsync("seeds/s1", Token);

        await Driver.DeleteAsync("seeds/s1", Token);
        await Driver.DeleteAsync("seeds/s1", Token);

        Assert.False(Directory.Exists(Driver.PathOf("seeds/s1")));
        Assert.Empty(Driver.List("seeds"));
    }

    [Fact]
    public async Task A_clone_of_a_frozen_volume_can_be_written()
    {
        await Driver.CreateAsync("seeds/s1", Token);
        await Driver.FreezeAsync("seeds/s1", Token);

        await Driver.CloneAsync("seeds/s1", "branches/b1", Token);
        await WriteAsync("branches/b1", "file", "x");

        Assert.Equal("x", await ReadAsync("branches/b1", "file"));
    }

    [Fact]
    public async Task Lists_what_is_there_in_order()
    {
        foreach (var volume in new[] { "branches/b2", "branches/b1", "seeds/s1" })
            await Driver.CreateAsync(volume, Token);

        Assert.Equal(["branches/b1", "branches/b2"], Driver.List("branches"));
        Assert.Empty(Driver.List("nothing"));
    }

    [Fact]
    public async Task Measures_what_a_clone_has_written_and_leaves_out_what_is_gone()
    {
        await Driver.CreateAsync("main", Token);
        await WriteAsync("main", "base", new string('a', 4 << 20));
        await Driver.CloneAsync("main", "branches/b1", Token);
        await WriteAsync("branches/b1", "own", new string('b', 1 << 20));

        var usage = await Driver.MeasureAsync(["main", "branches/b1", "branches/none"], Token);

        Assert.Equal(["branches/b1", "main"], usage.Keys.Order());
        Assert.InRange(usage["branches/b1"].TotalBytes, 5 << 20, 6 << 20);
        Assert.InRange(usage["branches/b1"].ExclusiveBytes, 1 << 20, Driver.Name == "btrfs" ? 2 << 20 : 6 << 20);
    }

    // Flushed to the disk, since a file system counts what it has allocated and not what waits in memory.
    protected async Task WriteAsync(string volume, string file, string text, int times = 1)
    {
        await using var stream = new FileStream(Path.Combine(Driver.PathOf(volume), file), FileMode.Create);
        for (var i = 0; i < times; i++)
            await stream.WriteAsync(System.Text.Encoding.ASCII.GetBytes(text), Token);
        stream.Flush(flushToDisk: true);
    }

    Task<string> ReadAsync(string volume, string file) => File.ReadAllTextAsync(Path.Combine(Driver.PathOf(volume), file), Token);
}

public sealed class BtrfsDriverTests : StorageDriverContract
{
    protected override string DriverName => "btrfs";

    [Fact]
    public async Task A_full_pool_is_an_error_that_says_so()
    {
        await Driver.CreateAsync("main", Token);

        var full = await Assert.ThrowsAnyAsync<IOException>(() => WriteAsync("main", "large", new string('x', 1 << 20), times: 2000));

        Assert.Contains("No space left", full.Message, StringComparison.Ordinal);
        await Driver.DeleteAsync("main", Token);
        Assert.Empty(Driver.List("main"));
    }
}

public sealed class CopyDriverTests : StorageDriverContract
{
    protected override string DriverName => "copy";
}
