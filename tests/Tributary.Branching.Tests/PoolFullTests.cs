using Npgsql;
using Tributary.Postgres.Programs;
using Tributary.Testing;
using static Tributary.Branching.Tests.BranchingFixture;

namespace Tributary.Branching.Tests;

/// <summary>A pool without space says so and loses nothing; space that comes back is used at once.</summary>
public sealed class PoolFullTests : IAsyncLifetime
{
    BranchingFixture _fixture = new() { Adjust = static options => options with { PoolBytesMax = 640L << 20, SeedInterval = TimeSpan.FromSeconds(1) } };

    string Pool => Path.Combine(_fixture.Options.StateDirectory, "pool");

    string Filler => Path.Combine(Pool, "filler");

    public async ValueTask InitializeAsync()
    {
        await _fixture.InitializeAsync();
        TestRequirement.Of(_fixture.Manager.Status.Driver == "btrfs", "A pool of a size of its own needs btrfs and root.");
        await UntilAsync(() => _fixture.Manager.Status.SparesReady == 1, () => $"no spare: {_fixture.Manager.Status}");
    }

    public ValueTask DisposeAsync() => _fixture.DisposeAsync();

    [Fact]
    public async Task A_branch_that_fills_the_pool_is_told_so_and_its_deletion_gives_the_space_back()
    {
        var other = await _fixture.CreateAsync("full-other");
        await using var otherLease = await _fixture.ConnectAsync(other);
        await ExecuteAsync(ConnectionString(otherLease), "CREATE TABLE mine AS SELECT 1 AS x; CHECKPOINT");
        var greedy = await _fixture.CreateAsync("full-greedy");
        await using (var lease = await _fixture.ConnectAsync(greedy))
        {
            var refused = await FillAsync(lease);
            Assert.Equal(PostgresErrorCodes.DiskFull, refused.SqlState);
        }

        // Who reads goes on; so does main, whose newest moment waits for space.
        Assert.Equal(1_000_000m, await ScalarAsync(ConnectionString(otherLease), "SELECT sum(balance) FROM accounts"));
        var full = await _fixture.Manager.CreateAsync(new BranchRequest(BranchName.Parse("full-none"), BranchOrigin.Seed), Token);
        Assert.Equal(BranchErrorKind.PoolFull, full.Error?.Kind);

        var deleted = await _fixture.Manager.DeleteAsync(greedy.Name, purge: true, Token);

        Assert.True(deleted.Succeeded, deleted.Error?.Message);
        await ExecuteAsync(_fixture.Production.ConnectionString("bank"), "CREATE TABLE after_full AS SELECT 3 AS x");
        await UntilAsync(() => FreeBytes() > BranchRegistry.FreeBytesMin, () => $"{FreeBytes()} bytes free");
        await _fixture.FreshSeedAsync();
        var later = await _fixture.CreateAsync("full-later", BranchOrigin.Now);
        await using var laterLease = await _fixture.ConnectAsync(later);
        Assert.Equal(3, await ScalarAsync(ConnectionString(laterLease), "SELECT x FROM after_full"));
        await ExecuteAsync(ConnectionString(otherLease), "INSERT INTO mine SELECT generate_series(2, 1000); CHECKPOINT");
        Assert.Equal(1000L, await ScalarAsync(ConnectionString(otherLease), "SELECT count(*) FROM mine"));
    }

    [Fact]
    public async Task Main_and_the_other_branches_go_on_when_a_branch_has_filled_the_pool()
    {
        var other = await _fixture.CreateAsync("full-other");
        await using var otherLease = await _fixture.ConnectAsync(other);
        await ExecuteAsync(ConnectionString(otherLease), "CREATE TABLE mine AS SELECT 1 AS x; CHECKPOINT");
        await UntilAsync(() => File.Exists(Path.Combine(Pool, "reserve")), () => $"nothing is held back of {FreeBytes()} bytes");
        var greedy = await _fixture.CreateAsync("full-greedy");
        await using (var lease = await _fixture.ConnectAsync(greedy))
            await FillAsync(lease);

        // Without anybody's doing.
        await ExecuteAsync(_fixture.Production.ConnectionString("bank"), "CREATE TABLE while_full AS SELECT i, repeat('x', 500) FROM generate_series(1, 20000) i");
        await MainHasAllAsync();
        await ExecuteAsync(ConnectionString(otherLease), "INSERT INTO mine SELECT generate_series(2, 1000); CHECKPOINT");
        Assert.Equal(1000L, await ScalarAsync(ConnectionString(otherLease), "SELECT count(*) FROM mine"));
        var refused = await _fixture.Manager.ConnectAsync(greedy.Name, Token);
        Assert.Equal(BranchErrorKind.PoolFull, refused.Error?.Kind);
        Assert.Contains("--purge", refused.Error!.Message, StringComparison.Ordinal);

        Assert.True((await _fixture.Manager.DeleteAsync(greedy.Name, purge: true, Token)).Succeeded);
        await UntilAsync(() => File.Exists(Path.Combine(Pool, "reserve")), () => $"nothing is held back again of {FreeBytes()} bytes");
    }

    [Theory]
    [InlineData(BranchOrigin.Seed, 1)]
    [InlineData(BranchOrigin.Now, 1)]
    [InlineData(BranchOrigin.Now, 0)]
    public async Task A_full_pool_refuses_branches_and_seeds_clearly_and_keeps_nothing_half_made(BranchOrigin origin, int spares)
    {
        if (spares == 0)
            await WithoutSparesAsync();
        var kept = await _fixture.CreateAsync("full-kept");
        await ExecuteAsync(_fixture.Production.ConnectionString("bank"), "CREATE TABLE moved AS SELECT 1 AS x");
        await MainHasAllAsync();
        if (spares > 0)
            await _fixture.FreshSeedAsync();
        await FillPoolAsync();
        var seeds = _fixture.Manager.Status.Seeds[0];
        var volumes = Volumes();

        var refused = await _fixture.Manager.CreateAsync(new BranchRequest(BranchName.Parse("full-refused"), origin), Token);

        Assert.Equal(BranchErrorKind.PoolFull, refused.Error?.Kind);
        Assert.Contains("branching.pool-size", refused.Error!.Message, StringComparison.Ordinal);
        if (spares == 0)
        {
            // A reset needs no new name, so nothing refuses it before its seed is begun.
            var reset = await _fixture.Manager.ResetAsync(kept.Name, ResetTarget.Parent, Token);
            Assert.True(reset.Error is { Kind: BranchErrorKind.PoolFull }, $"{reset}");
        }

        Assert.Empty(Volumes().Except(volumes));
        Assert.Equal(["full-kept"], _fixture.Manager.List().Select(branch => branch.Name.ToString()));
        File.Delete(Filler);
        // The file system gives the space back with its next commit.
        await UntilAsync(() => new DriveInfo(Pool).AvailableFreeSpace > 256L << 20, () => "the filler's space does not come back");
        await ExecuteAsync(_fixture.Production.ConnectionString("bank"), "CREATE TABLE more AS SELECT 1 AS x");
        await UntilAsync(() => _fixture.Manager.Status is { LastError: null } status && status.SparesReady == spares && (spares == 0 || status.Seeds[0].Lsn > seeds.Lsn), () => $"no recovery: {_fixture.Manager.Status}; main says: {string.Join(" | ", File.ReadLines(Path.Combine(_fixture.Options.StateDirectory, "run", "main", "postgres.log")).TakeLast(12))}");
        await using (var lease = await _fixture.ConnectAsync(await _fixture.CreateAsync("full-after", origin)))
            Assert.Equal(1000L, await ScalarAsync(ConnectionString(lease), "SELECT count(*) FROM accounts"));
        await ExpectNoLeaksAsync(kept);
    }

    // After an orderly end, which takes the spare along, only branches, seeds and main are in the pool.
    async Task ExpectNoLeaksAsync(Branch kept)
    {
        var after = _fixture.Manager.Find("full-after").Value!;
        var births = _fixture.Manager.List().Select(branch => branch.Birth);
        var seeds = _fixture.Manager.Status.Seeds.Select(seed => $"seeds/{seed.Id}").ToList();
        Assert.Superset(births.Where(birth => birth is not null).ToHashSet(), seeds.ToHashSet<string?>());
        await _fixture.StopManagerAsync();
        Assert.DoesNotContain(_fixture.Options.StateDirectory, await File.ReadAllTextAsync("/proc/mounts", Token), StringComparison.Ordinal);
        await using var next = new BranchingFixture { IsGuest = true };
        await next.TakeOverAsync(_fixture);
        Assert.Equal([kept.Id, after.Id], next.Manager.List().Select(branch => branch.Id));
        await next.StopManagerAsync();
        var image = Path.Combine(_fixture.Options.StateDirectory, "pool.img");
        (await ChildProcesses.RunAsync(new ChildProcessSpec("mount", ["-o", "loop,ro", image, Pool]), Token)).EnsureSucceeded("mount");
        try
        {
            Assert.Equal(new[] { kept, after }.Select(branch => $"b{branch.Number}").Order(), Directory.EnumerateDirectories(Path.Combine(Pool, "branches")).Select(Path.GetFileName).Order());
            Assert.Equal(
                Directory.EnumerateFiles(Path.Combine(Pool, "records"), "seed-*").Select(file => Path.GetFileNameWithoutExtension(file)["seed-".Length..]).Order(),
                Directory.EnumerateDirectories(Path.Combine(Pool, "seeds")).Select(path => Path.GetFileName(path)).Order());
        }
        finally
        {
            (await ChildProcesses.RunAsync(new ChildProcessSpec("umount", [Pool]), CancellationToken.None)).EnsureSucceeded("umount");
        }
    }

    // A row of 500 kB at a time until there is no space. The table has no log: a Postgres that cannot write that ends, and says nothing to its client.
    static async Task<PostgresException> FillAsync(ComputeLease lease)
    {
        await ExecuteAsync(ConnectionString(lease), "CREATE UNLOGGED TABLE filled (text text); ALTER TABLE filled ALTER text SET STORAGE EXTERNAL");
        return await Assert.ThrowsAsync<PostgresException>(() => ExecuteAsync(
            ConnectionString(lease), "INSERT INTO filled SELECT repeat(md5(n::text), 16000) FROM generate_series(1, 2000) n"));
    }

    async Task FillPoolAsync()
    {
        // The last write is refused: that is the aim.
        await ChildProcesses.RunAsync(new ChildProcessSpec("dd", ["if=/dev/zero", $"of={Filler}", "bs=1M", "conv=fsync", "status=none"]), Token);
        Assert.True(FreeBytes() < 32 << 20, $"{FreeBytes()} bytes are free after filling the pool.");
    }

    // The same pool without spares, and with seeds only when they are asked for: a branch as of now is then a new seed.
    async Task WithoutSparesAsync()
    {
        await _fixture.StopManagerAsync();
        _fixture = await new BranchingFixture { IsGuest = false }.TakeOverAsync(_fixture, options => options with { SparesKept = 0, SeedInterval = TimeSpan.FromHours(1) });
    }

    async Task MainHasAllAsync()
    {
        var now = Postgres.Lsn.Parse((string)(await ScalarAsync(_fixture.Production.ConnectionString(), "SELECT pg_current_wal_insert_lsn()::text"))!);
        await UntilAsync(() => _fixture.Manager.Status.MainLsn >= now, () => $"main is not at {now}: {_fixture.Manager.Status}");
    }

    IReadOnlyList<string> Volumes() =>
        [.. new[] { "branches", "births", "seeds" }.Select(folder => Path.Combine(Pool, folder)).Where(Directory.Exists).SelectMany(Directory.EnumerateDirectories).Order()];

    long FreeBytes() => new DriveInfo(Pool).AvailableFreeSpace;
}
