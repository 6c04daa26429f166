using Microsoft.Extensions.Logging.Abstractions;
using Tributary.Branching.Storage;
using Tributary.Postgres.Programs;
using Tributary.Testing;
using static Tributary.Branching.Tests.BranchingFixture;

namespace Tributary.Branching.Tests;

/// <summary>A main of its own over its life: empty, imported into, at rest, restarted, and never mistaken for a copy of production.</summary>
public sealed class OwnMainTests
{
    [Fact]
    public async Task An_empty_main_gives_branches_and_survives_a_restart_of_everything_with_its_imports()
    {
        await using var fixture = new OwnMainFixture();
        await fixture.InitializeAsync();
        var empty = await fixture.CreateAsync("empty", BranchOrigin.Seed);
        Assert.Equal(("UTF8", "on"), (await fixture.AskAsync(empty, "app", "SHOW server_encoding"), await fixture.AskAsync(empty, "app", "SHOW data_checksums")));
        Assert.Equal(true, await fixture.AskAsync(empty, "app", "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"));
        Assert.True((await fixture.ImportAsync("shop.sql")).Succeeded);

        // The database that was there is empty, so that the import takes its name; the branch from before stays what it is.
        Assert.Equal(0L, await fixture.AskAsync(empty, "app", "SELECT count(*) FROM pg_tables WHERE tablename = 'orders'"));
        var before = await fixture.CreateAsync("before");
        await fixture.AskAsync(before, "app", "DELETE FROM orders");
        await fixture.StopAsync();
        Assert.DoesNotContain(fixture.Options.StateDirectory, await File.ReadAllTextAsync("/proc/mounts", Token), StringComparison.Ordinal);

        await fixture.StartAsync();

        var after = await fixture.CreateAsync("after");
        Assert.Equal(2000L, await fixture.AskAsync(after, "app", "SELECT count(*) FROM orders"));
        Assert.Equal(0L, await fixture.AskAsync(before, "app", "SELECT count(*) FROM orders"));
        Assert.True((await fixture.Manager.ResetAsync(before.Name, ResetTarget.Birth, Token)).Succeeded);
        Assert.Equal(2000L, await fixture.AskAsync(before, "app", "SELECT count(*) FROM orders"));
        Assert.Equal(BranchErrorKind.AlreadyExists, (await fixture.ImportAsync("shop.sql")).Error?.Kind);
    }

    [Fact]
    public async Task Mains_of_several_major_versions_serve_side_by_side_in_one_process()
    {
        var majors = PostgresInstallation.FindAll().Select(static found => found.Major).Where(static major => major >= 13).Distinct().ToList();
        Assert.True(majors.Count > 1, "Only one major version of Postgres is installed (eng/postgres-versions.sh brings more).");
        var fixtures = majors.ConvertAll(static major => (Major: major, Fixture: new OwnMainFixture { Adjust = options => options with { OwnMajor = major } }));
        try
        {
            await Task.WhenAll(fixtures.Select(static item => item.Fixture.InitializeAsync().AsTask()));
            foreach (var (major, fixture) in fixtures)
            {
                var branch = await fixture.CreateAsync($"of-{major}");
                Assert.Equal($"{major}", $"{await fixture.AskAsync(branch, "app", "SELECT current_setting('server_version_num')::int / 10000")}");
            }
        }
        finally
        {
            foreach (var (_, fixture) in fixtures)
                await fixture.DisposeAsync();
        }
    }

    [Fact]
    public async Task At_rest_it_makes_no_seeds_and_a_branch_as_of_now_is_the_newest()
    {
        await using var fixture = new OwnMainFixture();
        await fixture.InitializeAsync();
        var imported = (await fixture.ImportAsync("shop.dump", createsRoles: true)).Value!;
        await Task.Delay(TimeSpan.FromSeconds(3), TimeProvider.System, Token);

        var branches = await Task.WhenAll(Enumerable.Range(0, 6).Select(i => fixture.CreateAsync($"rest-{i}")));
        var past = await fixture.Manager.CreateAsync(new BranchRequest(BranchName.Parse("past"), BranchOrigin.Point) { Point = BranchPoint.At(imported.Seed!.Lsn) }, Token);

        Assert.Equal(imported.Seed.Id, fixture.Manager.Status.Seeds[0].Id);
        Assert.Equal([imported.Seed.Id], branches.Select(branch => branch.SeedId).Distinct());
        Assert.Equal((0, null), (fixture.Manager.Status.SparesReady, fixture.Manager.Status.LastError));
        Assert.Contains("follows no production", past.Error!.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_main_that_crashes_comes_back_and_a_copy_as_storage_serves_too()
    {
        await using var fixture = new OwnMainFixture { Adjust = options => options with { Driver = "copy" } };
        await fixture.InitializeAsync();
        Assert.True((await fixture.ImportAsync("shop.sql")).Succeeded);
        var log = Path.Combine(fixture.Options.StateDirectory, "run", "main", "postgres.log");

        KillSandboxOf(Path.Combine(fixture.Options.StateDirectory, "run", "main", "conf"));
        await UntilAsync(() => File.ReadAllText(log).Contains("not properly shut down", StringComparison.Ordinal), () => File.ReadAllText(log));
        await UntilAsync(() => fixture.Manager.Status is { LastError: null }, () => $"{fixture.Manager.Status}");

        Assert.Equal(2000L, await fixture.AskAsync(await fixture.CreateAsync("survivor"), "app", "SELECT count(*) FROM orders"));
    }

    [Fact]
    public async Task Another_kind_of_main_or_another_version_is_refused_on_its_state_folder()
    {
        await using var fixture = new OwnMainFixture();
        await fixture.InitializeAsync();
        await fixture.StopAsync();
        var other = PostgresInstallation.FindAll().Select(found => found.Major).FirstOrDefault(major => major != PostgresInstallation.FindNewest().Major);

        var version = await BranchManager.OpenAsync(fixture.Options with { OwnMajor = other }, feed: null, TimeProvider.System, NullLoggerFactory.Instance, Token);
        var kind = await BranchManager.OpenAsync(fixture.Options with { Following = FollowingMode.Physical }, feed: null, TimeProvider.System, NullLoggerFactory.Instance, Token);

        Assert.Contains("branching.postgres-version", version.Error?.Message, StringComparison.Ordinal);
        Assert.Contains("cannot become a standby of production", kind.Error?.Message, StringComparison.Ordinal);
        await fixture.StartAsync();
    }

    [Fact]
    public async Task What_an_import_left_at_a_crash_is_gone_after_the_next_start()
    {
        await using var fixture = new OwnMainFixture();
        await fixture.InitializeAsync();
        var socket = Path.Combine(fixture.Options.StateDirectory, "run", "main", "socket");
        foreach (var left in new[] { "tributary_import", "tributary_replaced" })
            await ExecuteAsync($"Host={socket};Username=postgres;Database=postgres", $"CREATE DATABASE {left}");
        await fixture.StopAsync();

        await fixture.StartAsync();

        Assert.Equal(["app", "postgres"], await NamesAsync(fixture, await fixture.CreateAsync("clean")));
    }

    [Fact]
    public async Task A_repair_that_has_lost_every_record_of_main_keeps_what_was_imported()
    {
        await using var fixture = new OwnMainFixture();
        await fixture.InitializeAsync();
        Assert.True((await fixture.ImportAsync("shop.sql")).Succeeded);
        await fixture.StopAsync();
        foreach (var file in new[] { "catalog.db", "catalog.db-wal", "catalog.db-shm" })
            File.Delete(Path.Combine(fixture.Options.StateDirectory, file));
        var pool = await Pool.OpenAsync(fixture.Options, Token);
        File.Delete(Path.Combine(pool.Root, "records", "facts.json"));
        await pool.CloseAsync();

        var repaired = await CatalogRepair.RunAsync(fixture.Options, TimeProvider.System, Token);
        Assert.True(repaired.Value?.Rebuilt, repaired.Error?.Message);
        using (var catalog = Catalog.BranchCatalog.Open(Path.Combine(fixture.Options.StateDirectory, "catalog.db")))
            Assert.Equal("following", catalog.Fact("main"));
        await fixture.StartAsync();

        Assert.Equal(2000L, await fixture.AskAsync(await fixture.CreateAsync("repaired"), "app", "SELECT count(*) FROM orders"));
    }

    [Fact]
    public async Task An_import_that_would_fill_the_pool_is_ended_before_it_does()
    {
        await using var fixture = new OwnMainFixture { Adjust = options => options with { PoolBytesMax = 640L << 20 } };
        await fixture.InitializeAsync();
        TestRequirement.Of(fixture.Manager.Status.Driver == "btrfs", "A pool of a size of its own needs btrfs and root.");
        await File.WriteAllTextAsync(
            fixture.Dump("endless.sql"),
            "--\n-- PostgreSQL database dump\n--\nCREATE TABLE endless (x text);\nALTER TABLE endless ALTER x SET STORAGE external;\n"
            + string.Concat(Enumerable.Repeat("INSERT INTO endless SELECT repeat(md5(i::text), 100) FROM generate_series(1, 500) i; SELECT pg_sleep(0.05);\n", 800)), Token);

        var full = await fixture.ImportAsync("endless.sql", "endless");

        Assert.True(full.Error?.Kind == BranchErrorKind.PoolFull, full.Error?.Message);
        // The file system gives the space back with its next commit.
        await UntilAsync(() => new DriveInfo(Path.Combine(fixture.Options.StateDirectory, "pool")).AvailableFreeSpace > BranchRegistry.FreeBytesMin + (16L << 20), () => "the import's space does not come back");
        var small = await fixture.ImportAsync("shop.sql", "fits");
        Assert.True(small.Succeeded, small.Error?.Message);
        Assert.Equal(2000L, await fixture.AskAsync(await fixture.CreateAsync("fits"), "fits", "SELECT count(*) FROM orders"));
    }

    [Fact]
    public async Task It_may_be_of_any_installed_version()
    {
        var major = PostgresInstallation.FindAll().Max(found => found.Major);
        await using var fixture = new OwnMainFixture { Adjust = options => options with { OwnMajor = major, OwnDatabase = "of_its_own" } };
        await fixture.InitializeAsync();

        Assert.True((await fixture.ImportAsync("shop.dump", createsRoles: true)).Succeeded);

        var branch = await fixture.CreateAsync("newest");
        Assert.Equal(major, await fixture.AskAsync(branch, "of_its_own", "SELECT current_setting('server_version_num')::int / 10000"));
        Assert.Equal(2000L, await fixture.AskAsync(branch, "of_its_own", "SELECT count(*) FROM orders"));
    }

    static async Task<string[]> NamesAsync(OwnMainFixture fixture, Branch branch) =>
        (string[])(await fixture.AskAsync(branch, "app", "SELECT array_agg(datname::text ORDER BY datname::text) FROM pg_database WHERE NOT datistemplate"))!;
}
