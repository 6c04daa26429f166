using Tributary.Branching.Importing;
using Tributary.Testing;
using static Tributary.Branching.Tests.BranchingFixture;

namespace Tributary.Branching.Tests;

/// <summary>A main that follows nothing: dumps of every format come into it whole or not at all, and branches of it have them at once.</summary>
public sealed class ImportTests(OwnMainFixture fixture) : IClassFixture<OwnMainFixture>
{
    [Theory]
    [InlineData("shop.sql", "of_plain")]
    [InlineData("shop.dump", "of_custom")]
    [InlineData("shop.tar", "of_tar")]
    [InlineData("shop.dir", "of_directory")]
    public async Task A_dump_of_any_format_is_in_a_branch_as_of_now(string file, string database)
    {
        var seen = new List<ImportPhase>();
        await OpenToPostgresAsync(fixture.Dumps);

        var imported = await fixture.ImportAsync(file, database, createsRoles: true, progress => seen.Add(progress.Phase));

        Assert.True(imported.Succeeded, imported.Error?.Message);
        Assert.True(imported.Value.Bytes > 1_000_000, $"{imported.Value.Bytes}");
        Assert.Equal([ImportPhase.Restoring, ImportPhase.Analyzing, ImportPhase.Seeding], seen.Distinct());
        Assert.Contains(fixture.Manager.Status.Seeds, seed => seed.Id == imported.Value.Seed?.Id);
        var branch = await fixture.CreateAsync(database.Replace('_', '-'));
        Assert.Equal(imported.Value.Seed!.Id, branch.SeedId);
        Assert.Equal(2000L, await fixture.AskAsync(branch, database, "SELECT count(*) FROM orders"));
        Assert.Equal(84, await fixture.AskAsync(branch, database, "SELECT twice(42)"));
        Assert.Equal("large", await fixture.AskAsync(branch, database, "SELECT convert_from(lo_get(4711), 'UTF8')"));
        Assert.Equal(2000f, await fixture.AskAsync(branch, database, "SELECT reltuples FROM pg_class WHERE relname = 'orders'"));
        Assert.Equal(false, await fixture.AskAsync(branch, database, "SELECT pg_is_in_recovery()"));
    }

    [Fact]
    public async Task Owners_come_with_the_roles_that_are_made_for_them()
    {
        var without = await fixture.ImportAsync("owned.sql", "owned");
        var with = await fixture.ImportAsync("owned.sql", "owned", createsRoles: true);

        if (!without.Succeeded)
            Assert.Contains("--create-roles", without.Error.Message, StringComparison.Ordinal);
        Assert.True(with.Succeeded || without.Succeeded, with.Error?.Message);
        var branch = await fixture.CreateAsync("owned");
        Assert.Equal("shop_owner", await fixture.AskAsync(branch, "owned", "SELECT tableowner::text FROM pg_tables WHERE tablename = 'orders'"));
        Assert.Equal(true, await fixture.AskAsync(branch, "owned", "SELECT has_table_privilege('Shop Reader', 'notes', 'SELECT') AND NOT rolcanlogin FROM pg_roles WHERE rolname = 'shop_owner'"));
        Assert.Equal(0L, await fixture.AskAsync(branch, "owned", "SELECT count(*) FROM pg_roles WHERE rolname = 'nobody_at_all'"));
    }

    [Fact]
    public async Task A_name_that_has_data_is_left_as_it_is()
    {
        var first = await fixture.ImportAsync("shop.sql", "kept");
        var second = await fixture.ImportAsync("shop.sql", "kept");
        var template = await fixture.ImportAsync("shop.sql", "template1");

        Assert.True(first.Succeeded, first.Error?.Message);
        Assert.Equal(BranchErrorKind.AlreadyExists, second.Error?.Kind);
        Assert.Contains("Main has a database kept that is not empty; it is left as it is.", second.Error!.Message, StringComparison.Ordinal);
        Assert.Equal(BranchErrorKind.AlreadyExists, template.Error?.Kind);
        Assert.Equal(2000L, await fixture.AskAsync(await fixture.CreateAsync("kept"), "kept", "SELECT count(*) FROM orders"));
    }

    [Fact]
    public async Task A_dump_that_fails_is_told_with_its_last_words_and_leaves_nothing()
    {
        await File.WriteAllTextAsync(fixture.Dump("broken.sql"), "--\n-- PostgreSQL database dump\n--\nCREATE TABLE half (x int);\nSELECT * FROM nowhere_at_all;\n", Token);

        var failed = await fixture.ImportAsync("broken.sql", "broken");

        Assert.Equal(BranchErrorKind.InvalidRequest, failed.Error?.Kind);
        Assert.Contains("relation \"nowhere_at_all\" does not exist", failed.Error!.Message, StringComparison.Ordinal);
        Assert.Contains("Main is as it was.", failed.Error.Message, StringComparison.Ordinal);
        var branch = await fixture.CreateAsync("after-broken");
        Assert.Equal(0L, await fixture.AskAsync(branch, "postgres", "SELECT count(*) FROM pg_database WHERE datname IN ('broken', 'tributary_import')"));
    }

    [Fact]
    public async Task A_dump_starts_nothing_on_this_machine_and_reaches_nothing()
    {
        var mark = Path.Combine(TestFolder.New("mark"), "touched");
        await File.WriteAllTextAsync(
            fixture.Dump("hostile.sql"),
            $"--\n-- PostgreSQL database dump\n--\n\\! touch {mark}\n\\! cat {Path.Combine(fixture.Options.StateDirectory, "secret.key")} && touch {mark}\nCOPY (SELECT 1) TO PROGRAM 'touch {mark}';\n", Token);
        Directory.CreateDirectory(Path.GetDirectoryName(mark)!);
        File.SetUnixFileMode(Path.GetDirectoryName(mark)!, (UnixFileMode)0b111_111_111);

        var failed = await fixture.ImportAsync("hostile.sql", "hostile");

        Assert.False(failed.Succeeded);
        Assert.False(File.Exists(mark));
    }

    [Fact]
    public async Task An_import_that_is_given_up_leaves_nothing_and_branches_meanwhile_have_what_was_before()
    {
        await File.WriteAllTextAsync(fixture.Dump("slow.sql"), "--\n-- PostgreSQL database dump\n--\nCREATE TABLE slow (x int);\nSELECT pg_sleep(600);\n", Token);
        using var end = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var restoring = new TaskCompletionSource();
        var importing = fixture.Manager.ImportAsync(new ImportRequest(fixture.Dump("slow.sql")) { Database = "slow" }, _ => restoring.TrySetResult(), end.Token);
        await restoring.Task.WaitAsync(TimeSpan.FromSeconds(30), Token);

        var second = await fixture.ImportAsync("shop.sql", "meanwhile");
        var branch = await fixture.CreateAsync("meanwhile");
        var unfinished = await fixture.AskAsync(branch, "postgres", "SELECT count(*) FROM pg_database WHERE datname = 'tributary_import'");
        await end.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => importing);

        Assert.Equal((0L, BranchErrorKind.NotReady), (unfinished, second.Error!.Kind));
        Assert.True((await fixture.ImportAsync("shop.sql", "meanwhile")).Succeeded);
        Assert.Equal(0L, await fixture.AskAsync(await fixture.CreateAsync("after-slow"), "postgres", "SELECT count(*) FROM pg_database WHERE datname IN ('slow', 'tributary_import')"));
    }

    [Theory]
    [InlineData("created.sql", "made with --create")]
    [InlineData("nothing.sql", "There is no ")]
    [InlineData(".", "a folder without a toc.dat")]
    [InlineData("cluster.sql", "by pg_dumpall")]
    [InlineData("letter.txt", "is no dump by pg_dump")]
    [InlineData("packed.sql.gz", "is compressed")]
    public async Task What_is_no_dump_of_one_database_is_refused_with_the_reason(string file, string reason)
    {
        await File.WriteAllTextAsync(fixture.Dump("letter.txt"), "Dear Sir or Madam,\n", Token);
        await File.WriteAllTextAsync(fixture.Dump("cluster.sql"), "--\n-- PostgreSQL database cluster dump\n--\n", Token);
        await File.WriteAllBytesAsync(fixture.Dump("packed.sql.gz"), [0x1f, 0x8b, 8, 0, 0], Token);

        var refused = await fixture.ImportAsync(file, "refused");

        Assert.Equal(BranchErrorKind.InvalidRequest, refused.Error?.Kind);
        Assert.Contains(reason, refused.Error!.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_roles_of_a_dump_are_found_and_its_data_is_not_read_for_them()
    {
        using var sql = new StringReader("""
            ALTER TABLE public.orders OWNER TO shop_owner;
            GRANT SELECT ON TABLE public.notes TO "Shop ""R"" eader" WITH GRANT OPTION;
            REVOKE ALL ON SCHEMA public FROM PUBLIC;
            ALTER DEFAULT PRIVILEGES FOR ROLE maker IN SCHEMA public GRANT SELECT ON TABLES TO taker;
            CREATE POLICY own ON public.orders FOR SELECT TO a, b USING ((x = 1));
            GRANT pg_monitor TO watcher GRANTED BY postgres;
            COPY public.orders (id, note) FROM stdin;
            GRANT SELECT ON x TO not_a_role;
            \.
            SET SESSION AUTHORIZATION 'session_role';
            """);

        Assert.Equal(["Shop \"R\" eader", "a", "b", "maker", "postgres", "session_role", "shop_owner", "taker", "watcher"], DumpRoles.Find(sql));
    }

    // A folder is read by the sandboxed program itself, as the user that runs servers.
    static Task OpenToPostgresAsync(string folder)
    {
        foreach (var directory in Directory.EnumerateDirectories(folder, "*", SearchOption.AllDirectories).Append(folder))
            File.SetUnixFileMode(directory, (UnixFileMode)0b111_101_101);
        foreach (var file in Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories))
            File.SetUnixFileMode(file, (UnixFileMode)0b110_100_100);
        return Task.CompletedTask;
    }
}
