using System.Text;
using Tributary.Testing;
using static Tributary.Branching.Tests.BranchingFixture;

namespace Tributary.Branching.Tests;

/// <summary>A copy of production does not act as production. Each test fails when its defence is taken away.</summary>
public sealed class DefuseTests(DefuseFixture dangerous) : IClassFixture<DefuseFixture>
{
    BranchingFixture Fixture => dangerous.Branching;

    string Production => Fixture.Production.ConnectionString("bank");

    [Fact]
    public async Task A_branch_archives_nothing_whatever_its_superuser_sets()
    {
        var branch = await Fixture.CreateAsync("archiver");
        await using (var lease = await Fixture.ConnectAsync(branch))
        {
            await ExecuteAsync(ConnectionString(lease), "ALTER SYSTEM SET archive_mode = 'on'");
            await ExecuteAsync(ConnectionString(lease), $"ALTER SYSTEM SET archive_command = 'echo branch >> {dangerous.ArchiveMarker}'");
            await ExecuteAsync(ConnectionString(lease), "SELECT pg_reload_conf()");
        }

        await using var again = await SleepAndWakeAsync(branch);
        await ExecuteAsync(ConnectionString(again), "CREATE TABLE t (x int); SELECT pg_switch_wal()");

        // Production itself goes on archiving to the same place.
        await ExecuteAsync(Production, "CREATE TABLE IF NOT EXISTS t (x int); SELECT pg_switch_wal()");
        await UntilAsync(() => File.Exists(dangerous.ArchiveMarker), () => "production does not archive");
        Assert.Equal("off", await ScalarAsync(ConnectionString(again), "SHOW archive_mode"));
        Assert.Equal(0L, await ScalarAsync(ConnectionString(again), "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'archiver'"));
        Assert.Equal(0L, await ScalarAsync(ConnectionString(again), "SELECT archived_count + failed_count FROM pg_stat_archiver"));
        Assert.DoesNotContain("branch", await File.ReadAllTextAsync(dangerous.ArchiveMarker, Token), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_subscription_is_off_and_dropping_it_leaves_the_publisher_alone()
    {
        await using var lease = await Fixture.ConnectAsync(await Fixture.CreateAsync("subscriber"));

        Assert.Equal(true, await ScalarAsync(Production, "SELECT subenabled FROM pg_subscription"));
        Assert.Equal(false, await ScalarAsync(ConnectionString(lease), "SELECT subenabled FROM pg_subscription"));
        Assert.Equal("", await ScalarAsync(ConnectionString(lease), "SELECT subconninfo FROM pg_subscription"));
        Assert.Equal(DBNull.Value, await ScalarAsync(ConnectionString(lease), "SELECT subslotname FROM pg_subscription"));
        await ExecuteAsync(ConnectionString(lease), "DROP SUBSCRIPTION feed");
        Assert.Equal(1L, await ScalarAsync(dangerous.Publisher.ConnectionString(), "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'feed'"));
    }

    [Fact]
    public async Task Jobs_of_pg_cron_do_not_run_even_when_the_branch_asks_for_the_library()
    {
        TestRequirement.OfBuild(Fixture.Production.Installation, dangerous.HasCron, "The library pg_cron is not installed: apt-get install postgresql-15-cron.");
        const string Launchers = "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'pg_cron%'";
        // Production's begins again a second after each try before its database was there.
        for (var tries = 0; !1L.Equals(await ScalarAsync(Production, Launchers)); tries++)
        {
            Assert.True(tries < 300, "pg_cron does not run on production.");
            await Task.Delay(TimeSpan.FromMilliseconds(100), Token);
        }

        var branch = await Fixture.CreateAsync("scheduler");
        await using (var lease = await Fixture.ConnectAsync(branch))
        {
            Assert.Equal(0L, await ScalarAsync(ConnectionString(lease), Launchers));
            Assert.Equal(1L, await ScalarAsync(ConnectionString(lease), "SELECT count(*) FROM cron.job"));
            await ExecuteAsync(ConnectionString(lease), "ALTER SYSTEM SET shared_preload_libraries = 'pg_cron'");
        }

        await using var again = await SleepAndWakeAsync(branch);

        Assert.Equal("", await ScalarAsync(ConnectionString(again), "SHOW shared_preload_libraries"));
        Assert.Equal(0L, await ScalarAsync(ConnectionString(again), Launchers));
    }

    [Fact]
    public async Task Alter_system_gets_a_branch_onto_no_network_after_sleep_and_wake()
    {
        var branch = await Fixture.CreateAsync("listener");
        await using (var lease = await Fixture.ConnectAsync(branch))
        {
            foreach (var setting in new[] { "listen_addresses = '*'", "port = 54321", "unix_socket_directories = '/tmp'", "hba_file = '/data/hba'", "max_logical_replication_workers = 4" })
                await ExecuteAsync(ConnectionString(lease), $"ALTER SYSTEM SET {setting}");
        }

        await using var again = await SleepAndWakeAsync(branch);

        Assert.Equal("", await ScalarAsync(ConnectionString(again), "SHOW listen_addresses"));
        Assert.Equal("0", await ScalarAsync(ConnectionString(again), "SHOW max_logical_replication_workers"));
        Assert.Single(((string)(await ScalarAsync(ConnectionString(again), "SELECT pg_read_file('/proc/net/tcp')"))!).Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    [Fact]
    public async Task No_password_of_production_and_no_hash_of_one_is_in_anything_that_a_branch_sees()
    {
        await ExecuteAsync(Production, $"UPDATE tributary.ddl_setting SET token = '{DefuseFixture.MessageSecret}'");
        await ExecuteAsync(Production, "ALTER ROLE app PASSWORD 'changed-while-followed'");
        await ExecuteAsync(Production, "CREATE ROLE dropped LOGIN PASSWORD 'short-lived'");
        var hashes = (string[])(await ScalarAsync(Production, "SELECT array_agg(rolpassword) FROM pg_authid WHERE rolpassword IS NOT NULL"))!;
        await ExecuteAsync(Production, "DROP ROLE dropped");
        // ANALYZE keeps samples of what it reads, in the database that it is run in.
        await ExecuteAsync(Production, "ANALYZE pg_catalog.pg_authid; ANALYZE pg_catalog.pg_subscription");
        Assert.Equal(1L, await ScalarAsync(Production, "SELECT count(*) FROM pg_stats WHERE tablename = 'pg_authid' AND attname = 'rolpassword' AND (histogram_bounds::text LIKE '%SCRAM%' OR most_common_vals::text LIKE '%SCRAM%')"));
        await Fixture.FreshSeedAsync();
        var branch = await Fixture.CreateAsync("grepped");
        await using var lease = await Fixture.ConnectAsync(branch);
        string[] secrets = [DefuseFixture.FollowerPassword, DefuseFixture.OtherPassword, DefuseFixture.MessageSecret, .. hashes];
        var state = Fixture.Options.StateDirectory;

        // The search finds what is there: the follower's password file, which lies outside of every branch.
        Assert.NotEmpty(Search(Path.Combine(state, "run", "main"), secrets));
        var found = Search(Path.Combine(state, "pool", "branches", $"b{branch.Number}"), secrets);
        Assert.True(found.Count == 0, string.Join('\n', found));
        Assert.Empty(Search(Path.Combine(state, "run", $"b{branch.Number}"), secrets));
        var environment = (string)(await ScalarAsync(ConnectionString(lease), "SELECT encode(pg_read_binary_file('/proc/1/environ') || pg_read_binary_file('/proc/1/cmdline'), 'escape')"))!;
        Assert.DoesNotContain(secrets, secret => environment.Contains(secret, StringComparison.Ordinal));
        Assert.Equal(DBNull.Value, await ScalarAsync(ConnectionString(lease), $"SELECT pg_stat_file('{state}/run/main/passfile', missing_ok => true)::text"));
    }

    [Theory]
    [InlineData(BranchOrigin.Seed)]
    [InlineData(BranchOrigin.Now)]
    public async Task The_secret_that_streams_believe_messages_by_is_another_one_in_a_branch(BranchOrigin origin)
    {
        await using var lease = await Fixture.ConnectAsync(await Fixture.CreateAsync($"secret-{origin}".ToLowerInvariant(), origin));

        Assert.Equal(DefuseFixture.MessageSecret, await ScalarAsync(Production, "SELECT token FROM tributary.ddl_setting"));
        Assert.Matches("^[0-9a-f-]{72}$", (string)(await ScalarAsync(ConnectionString(lease), "SELECT token FROM tributary.ddl_setting"))!);
    }

    [Theory]
    [InlineData(BranchOrigin.Seed)]
    [InlineData(BranchOrigin.Now)]
    public async Task What_production_has_prepared_and_not_committed_is_undone_and_keeps_no_hash_from_being_removed(BranchOrigin origin)
    {
        var hash = (string)(await ScalarAsync(Production, "SELECT rolpassword FROM pg_authid WHERE rolname = 'follower'"))!;
        await ExecuteAsync(Production, $"BEGIN; UPDATE accounts SET balance = balance + 1 WHERE id = 1; PREPARE TRANSACTION 'it''s {origin}'");
        try
        {
            await Fixture.FreshSeedAsync();
            var branch = await Fixture.CreateAsync($"prepared-{origin}".ToLowerInvariant(), origin);
            await using (var lease = await Fixture.ConnectAsync(branch))
            {
                Assert.Equal((0L, 1L), ((long)(await ScalarAsync(ConnectionString(lease), "SELECT count(*) FROM pg_prepared_xacts"))!, (long)(await ScalarAsync(Production, "SELECT count(*) FROM pg_prepared_xacts"))!));
                await ExecuteAsync(ConnectionString(lease), "SET lock_timeout = '1s'; UPDATE accounts SET balance = balance + 1 WHERE id = 1; CHECKPOINT");
            }

            Assert.Empty(Search(Path.Combine(Fixture.Options.StateDirectory, "pool", "branches", $"b{branch.Number}", "global"), [hash]));
        }
        finally
        {
            await ExecuteAsync(Production, $"ROLLBACK PREPARED 'it''s {origin}'");
        }
    }

    [Theory]
    [InlineData(BranchOrigin.Seed)]
    [InlineData(BranchOrigin.Now)]
    public async Task A_database_that_lets_nobody_in_is_defused_and_stays_closed(BranchOrigin origin)
    {
        var name = $"closed_{origin}".ToLowerInvariant();
        var server = Fixture.Production.ConnectionString("postgres");
        await ExecuteAsync(server, $"CREATE DATABASE {name}");
        await ExecuteAsync(Fixture.Production.ConnectionString(name), $"CREATE SCHEMA tributary; CREATE TABLE tributary.ddl_setting (token text NOT NULL); INSERT INTO tributary.ddl_setting VALUES ('{DefuseFixture.MessageSecret}')");
        await ExecuteAsync(server, $"ALTER DATABASE {name} ALLOW_CONNECTIONS false");
        await Fixture.FreshSeedAsync();

        await using var lease = await Fixture.ConnectAsync(await Fixture.CreateAsync($"of-{name}".Replace('_', '-'), origin));

        Assert.Equal(false, await ScalarAsync(ConnectionString(lease), $"SELECT datallowconn FROM pg_database WHERE datname = '{name}'"));
        await ExecuteAsync(ConnectionString(lease), $"ALTER DATABASE {name} ALLOW_CONNECTIONS true");
        Assert.NotEqual(DefuseFixture.MessageSecret, await ScalarAsync(ConnectionString(lease, name), "SELECT token FROM tributary.ddl_setting"));
    }

    [Fact]
    public async Task A_database_that_is_dropped_and_made_again_below_a_waiting_spare_is_defused_too()
    {
        // The spare that waits has entered the first of them, or none; both have the secret by the time of the request.
        var server = Fixture.Production.ConnectionString("postgres");
        await ExecuteAsync(server, "CREATE DATABASE remade");
        await (await Fixture.ConnectAsync(await Fixture.CreateAsync("before-remade", BranchOrigin.Now))).DisposeAsync();
        await UntilAsync(() => Fixture.Manager.Status.SparesReady > 0, () => $"no spare: {Fixture.Manager.Status}");
        await ExecuteAsync(server, "DROP DATABASE remade");
        await ExecuteAsync(server, "CREATE DATABASE remade");
        await ExecuteAsync(Fixture.Production.ConnectionString("remade"), $"CREATE SCHEMA tributary; CREATE TABLE tributary.ddl_setting (token text NOT NULL); INSERT INTO tributary.ddl_setting VALUES ('{DefuseFixture.MessageSecret}')");

        await using var lease = await Fixture.ConnectAsync(await Fixture.CreateAsync("after-remade", BranchOrigin.Now));

        Assert.NotEqual(DefuseFixture.MessageSecret, await ScalarAsync(ConnectionString(lease, "remade"), "SELECT token FROM tributary.ddl_setting"));
        await ExecuteAsync(ConnectionString(lease, "postgres"), "CREATE DATABASE of_template");
    }

    [Fact]
    public async Task Only_Postgress_own_files_come_from_productions_data_directory()
    {
        await using var lease = await Fixture.ConnectAsync(await Fixture.CreateAsync("files"));

        Assert.True(File.Exists(Path.Combine(Fixture.Production.DataDirectory, "conf.d", "secret.conf")));
        foreach (var name in new[] { "conf.d", "log", "private.pem" })
            Assert.Equal(DBNull.Value, await ScalarAsync(ConnectionString(lease), $"SELECT pg_stat_file('{name}', missing_ok => true)::text"));
    }

    async Task<ComputeLease> SleepAndWakeAsync(Branch branch)
    {
        await Fixture.StopIdleAsync();
        var lease = await Fixture.ConnectAsync(branch);
        Assert.NotNull(lease.WakeTime);
        return lease;
    }

    static List<string> Search(string folder, IReadOnlyList<string> texts)
    {
        var needles = texts.Select(Encoding.UTF8.GetBytes).ToList();
        return
        [
            .. from file in new DirectoryInfo(folder).EnumerateFiles("*", SearchOption.AllDirectories)
               where file.LinkTarget is null && file.Length > 0
               let content = File.ReadAllBytes(file.FullName)
               from needle in needles
               where content.AsSpan().IndexOf(needle) >= 0
               select $"{file.FullName} holds {Encoding.UTF8.GetString(needle)[..12]}…",
        ];
    }
}
