using static Tributary.Branching.Tests.BranchingFixture;

namespace Tributary.Branching.Tests;

public sealed class BranchSettingsTests
{
    [Fact]
    public void Pairs_are_taken_with_their_names_in_lower_case()
    {
        Assert.True(BranchSettings.TryParse(["Work_Mem = 64MB", "app.tenant=o'neil=x", "wal_level=logical"], out var settings, out _));

        Assert.Equal("64MB", settings["work_mem"]);
        Assert.Equal("o'neil=x", settings["app.tenant"]);
        Assert.Equal("logical", settings["wal_level"]);
    }

    [Theory]
    [InlineData("listen_addresses=*")]
    [InlineData("LISTEN_ADDRESSES=*")]
    [InlineData("port=5433")]
    [InlineData("unix_socket_directories=/tmp")]
    [InlineData("unix_socket_group=root")]
    [InlineData("hba_file=/data/hba")]
    [InlineData("ident_file=/data/ident")]
    [InlineData("data_directory=/tmp")]
    [InlineData("config_file=/data/x")]
    [InlineData("include=/data/x")]
    [InlineData("include_dir=/data")]
    [InlineData("archive_mode=on")]
    [InlineData("archive_command=cp %p /x")]
    [InlineData("archive_library=basic_archive")]
    [InlineData("restore_command=cp")]
    [InlineData("recovery_target=immediate")]
    [InlineData("primary_conninfo=host=x")]
    [InlineData("primary_slot_name=x")]
    [InlineData("shared_preload_libraries=pg_cron")]
    [InlineData("session_preload_libraries=x")]
    [InlineData("local_preload_libraries=x")]
    [InlineData("ssl=on")]
    [InlineData("ssl_cert_file=x")]
    [InlineData("huge_pages=on")]
    [InlineData("cluster_name=x")]
    [InlineData("wal_level=replica")]
    [InlineData("fsync=off")]
    [InlineData("full_page_writes=off")]
    [InlineData("synchronous_commit=on")]
    [InlineData("synchronous_standby_names=*")]
    [InlineData("logging_collector=on")]
    [InlineData("work_mem=64MB\nlisten_addresses='*'")]
    [InlineData("work_mem\nlisten_addresses=x")]
    [InlineData("work_mem")]
    [InlineData("=1")]
    [InlineData("a.b.c=1")]
    public void What_would_break_the_branch_or_leave_it_is_refused_with_a_reason(string pair)
    {
        Assert.False(BranchSettings.TryParse([pair], out _, out var error));
        Assert.True(error.Length > 20, error);
    }

    [Fact]
    public void A_name_is_taken_once_and_the_number_of_settings_is_bounded()
    {
        Assert.False(BranchSettings.TryParse(["work_mem=1MB", "WORK_MEM=2MB"], out _, out _));
        Assert.False(BranchSettings.TryParse(Enumerable.Range(0, BranchSettings.CountMax + 1).Select(i => $"x.s{i}=1"), out _, out _));
    }

    [Theory]
    [InlineData("it's a \\ path")]
    [InlineData("'; listen_addresses = '*")]
    [InlineData("# no comment")]
    [InlineData("")]
    public async Task A_value_is_quoted_so_that_Postgres_reads_it_back(string value)
    {
        await using var server = await Testing.TestServers.StartAsync([$"app.value = {BranchSettings.Quote(value)}"]);

        Assert.Equal(value, await ScalarAsync(server.ConnectionString(), "SHOW app.value"));
    }

    [Theory]
    [InlineData(1, 200, null, "16MB")]
    [InlineData(24, 200, null, "30MB")]
    [InlineData(512, 200, null, "128MB")]
    [InlineData(512, 200, 128, "32MB")]
    [InlineData(512, 200, 32, "8MB")]
    public void Shared_buffers_follow_the_machine_and_the_number_of_branches(long machineGib, int runningMax, int? memoryMaxMib, string expected)
    {
        var options = new BranchingOptions
        {
            StateDirectory = "/",
            Source = new Postgres.PostgresUrl { Host = "", User = "", Database = "" },
            RunningMax = runningMax,
            BranchMemoryMax = (long?)memoryMaxMib << 20,
        };

        Assert.Equal(expected, Compute.ComputeSettings.AutomaticSharedBuffers(options, machineGib << 30));
    }

    [Theory]
    [InlineData(Durability.Ephemeral, "off")]
    [InlineData(Durability.Durable, "on")]
    public void Durability_decides_whether_a_commit_waits_and_a_branchs_own_settings_come_last(Durability durability, string commit)
    {
        var options = new BranchingOptions { StateDirectory = "/", Source = new Postgres.PostgresUrl { Host = "", User = "", Database = "" }, SharedBuffers = "20MB" };

        var lines = Compute.ComputeSettings.Lines(options, "b", ["max_connections = 100"], durability, new Dictionary<string, string> { ["max_connections"] = "20" });

        Assert.Contains($"synchronous_commit = {commit}", lines);
        Assert.Contains("shared_buffers = 20MB", lines);
        Assert.Equal("max_connections = '20'", lines[^1]);
    }
}
