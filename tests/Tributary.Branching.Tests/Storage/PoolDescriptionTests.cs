using Tributary.Branching.Storage;
using Tributary.Postgres;
using Tributary.Testing;

namespace Tributary.Branching.Tests.Storage;

/// <summary>What the doctor says of the pool before it is made, while it is in use, and after.</summary>
public sealed class PoolDescriptionTests
{
    readonly BranchingOptions _options = new()
    {
        StateDirectory = TestFolder.New("described"),
        Source = new PostgresUrl { Host = "127.0.0.1", User = "nobody", Database = "none" },
        PoolBytesMax = 512L << 20,
    };

    static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task An_image_is_described_before_it_is_made_while_it_is_used_and_when_it_is_closed()
    {
        var before = await PoolChecks.DescribeAsync(_options, Token);
        var pool = await Pool.OpenAsync(_options, Token);
        string? used, growable;
        try
        {
            used = await PoolChecks.DescribeAsync(_options, Token);
            growable = await PoolChecks.DescribeAsync(_options with { PoolBytesMax = 1L << 30 }, Token);
        }
        finally
        {
            await pool.CloseAsync();
        }

        var closed = await PoolChecks.DescribeAsync(_options, Token);

        Assert.Equal("btrfs in an image that the first start makes: up to 512 MiB, branching.pool-size", before);
        Assert.StartsWith($"btrfs in the image {_options.StateDirectory}/pool.img; ", used, StringComparison.Ordinal);
        Assert.Matches("; [0-9]+ MiB used, [0-9]+ MiB free; 512 MiB large, which is all that branching.pool-size allows$", used);
        Assert.EndsWith("; can grow to 1.0 GiB, branching.pool-size", growable, StringComparison.Ordinal);
        Assert.Contains("; not mounted; ", closed, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_the_disk_has_room_for_is_named_when_it_is_the_nearer_limit()
    {
        var described = await PoolChecks.DescribeAsync(_options with { PoolBytesMax = 1L << 60 }, Token);

        Assert.Matches(@"up to [0-9.]+ GiB, what its disk has room for, of 1073741824\.0 GiB", described);
    }

    [Fact]
    public async Task Copies_and_folders_are_named_as_what_they_are()
    {
        var copies = await PoolChecks.DescribeAsync(_options with { Driver = "copy" }, Token);
        var senseless = await PoolChecks.DescribeAsync(_options with { PoolPath = "tank/shop" }, Token);
        var pool = await Pool.OpenAsync(_options, Token);
        string? folder;
        try
        {
            folder = await PoolChecks.DescribeAsync(_options with { StateDirectory = TestFolder.New("other"), PoolPath = Path.Combine(pool.Root, "not", "yet") }, Token);
        }
        finally
        {
            await pool.CloseAsync();
        }

        Assert.StartsWith($"copy: branches are full copies in {_options.StateDirectory}/pool; ", copies, StringComparison.Ordinal);
        Assert.Null(senseless);
        Assert.StartsWith($"btrfs in the folder {pool.Root}/not/yet; ", folder, StringComparison.Ordinal);
    }
}
