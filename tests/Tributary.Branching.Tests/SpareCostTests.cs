using static Tributary.Branching.Tests.BranchingFixture;

namespace Tributary.Branching.Tests;

/// <summary>What branches as of now take: a spare has what it has replayed for itself, which is little in one that is new, and which branches share.</summary>
public sealed class SpareCostTests : IAsyncLifetime
{
    const long Mebibyte = 1 << 20;

    /// <summary>Nothing but the test makes a checkpoint.</summary>
    readonly BranchingFixture _fixture = new() { ProductionSettings = ["checkpoint_timeout = 1h", "max_wal_size = 4GB", "autovacuum = off"] };

    public ValueTask InitializeAsync() => _fixture.InitializeAsync();

    public ValueTask DisposeAsync() => _fixture.DisposeAsync();

    [Fact]
    public async Task Branches_share_what_each_of_them_has_replayed()
    {
        Assert.SkipUnless(_fixture.Manager.Status.Driver is "btrfs" or "xfs", $"The driver {_fixture.Manager.Status.Driver} shares nothing after the clone.");
        await WriteAsync();
        await SpareAsync();
        var first = await _fixture.CreateAsync("first", BranchOrigin.Now);
        await OwnAsync(first, bytes => bytes > 24 * Mebibyte);
        await SettledAsync(first);

        await SpareAsync();
        await ExecuteAsync(_fixture.Production.ConnectionString("bank"), "INSERT INTO busy VALUES (-1, 'later')");
        var second = await _fixture.CreateAsync("second", BranchOrigin.Now);
        await OwnAsync(second, bytes => bytes < 16 * Mebibyte);
        await _fixture.Manager.DeleteAsync(first.Name, purge: true, Token);

        await using var lease = await _fixture.ConnectAsync(second);
        Assert.Equal(100_001L, await ScalarAsync(ConnectionString(lease), "SELECT count(*) FROM busy WHERE v <> ''"));
        await ExecuteAsync(ConnectionString(lease), "UPDATE busy SET v = 'mine'; CHECKPOINT");
        await OwnAsync(second, bytes => bytes > 16 * Mebibyte);
    }

    [Fact]
    public async Task A_spare_is_renewed_when_another_one_would_have_less_for_itself()
    {
        await SpareAsync();
        var first = Assert.Single(Spares());

        await WriteAsync();
        await ExecuteAsync(_fixture.Production.ConnectionString("bank"), "CHECKPOINT; INSERT INTO busy VALUES (-1, 'later')");
        await UntilAsync(() => !Spares().Contains(first) && _fixture.Manager.Status.SparesReady == 1, () => $"the spare was not renewed: {_fixture.Manager.Status}");

        var branch = await _fixture.CreateAsync("renewed", BranchOrigin.Now);
        await SettledAsync(branch);
        await OwnAsync(branch, bytes => bytes < 16 * Mebibyte);
        // Whoever first reads new rows marks them as seen, so this is last.
        await using var lease = await _fixture.ConnectAsync(branch);
        Assert.Equal(100_001L, await ScalarAsync(ConnectionString(lease), "SELECT count(*) FROM busy"));
    }

    // Some 28 MiB of pages, and as much log.
    Task WriteAsync() => ExecuteAsync(
        _fixture.Production.ConnectionString("bank"), "CREATE TABLE busy AS SELECT i AS id, repeat(md5(i::text), 8) AS v FROM generate_series(1, 100000) i");

    Task SpareAsync() => UntilAsync(() => _fixture.Manager.Status.SparesReady > 0, () => $"no spare: {_fixture.Manager.Status}");

    // Only a spare has a way to main.
    IReadOnlyList<string> Spares() => [.. Directory.EnumerateDirectories(Path.Combine(_fixture.Options.StateDirectory, "run")).Where(folder => Directory.Exists(Path.Combine(folder, "up")))];

    Task SettledAsync(Branch branch) => UntilAsync(
        () => _fixture.Manager.Find(branch.Name.ToString()).Value?.UnsettledBoot is null, () => $"{branch.Name} did not settle");

    async Task OwnAsync(Branch branch, Predicate<long> holds)
    {
        var (bytes, started) = (-1L, TimeProvider.System.GetTimestamp());
        while (bytes < 0 || !holds(bytes))
        {
            Assert.True(TimeProvider.System.GetElapsedTime(started) < TimeSpan.FromSeconds(60), $"{branch.Name} has {bytes} bytes for itself");
            await Task.Delay(TimeSpan.FromMilliseconds(200), TimeProvider.System, Token);
            bytes = (await _fixture.Manager.MeasureAsync(branch, Token))?.ExclusiveBytes ?? -1;
        }
    }
}
