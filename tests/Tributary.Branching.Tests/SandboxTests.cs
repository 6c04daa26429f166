using Npgsql;
using static Tributary.Branching.Tests.BranchingFixture;

namespace Tributary.Branching.Tests;

/// <summary>What a superuser inside a branch cannot do. Each test fails when its defence is taken away.</summary>
public sealed class SandboxTests(BranchingFixture fixture) : IClassFixture<BranchingFixture>
{
    [Fact]
    public async Task A_superuser_sees_no_network_interface_but_loopback()
    {
        await using var lease = await LeaseAsync("net-one");

        var interfaces = (string)(await ScalarAsync(ConnectionString(lease), "SELECT pg_read_file('/proc/net/dev')"))!;

        Assert.Equal(["lo"], interfaces.Split('\n').Where(line => line.Contains(':')).Select(line => line.Split(':')[0].Trim()));
    }

    [Fact]
    public async Task A_superuser_reaches_productions_port_neither_by_dblink_nor_by_a_subscription()
    {
        await using var lease = await LeaseAsync("net-two");
        await ExecuteAsync(ConnectionString(lease), "CREATE EXTENSION dblink");
        var production = $"host=127.0.0.1 port={fixture.Production.Port} user=postgres dbname=bank";

        // The same call reaches it from outside the sandbox.
        await ExecuteAsync(fixture.Production.ConnectionString("bank"), "CREATE EXTENSION IF NOT EXISTS dblink");
        await ExecuteAsync(fixture.Production.ConnectionString("bank"), $"SELECT dblink_connect('x', '{production}')");
        var link = await Assert.ThrowsAsync<PostgresException>(() => ExecuteAsync(ConnectionString(lease), $"SELECT dblink_connect('x', '{production}')"));
        var subscription = await Assert.ThrowsAsync<PostgresException>(
            () => ExecuteAsync(ConnectionString(lease), $"CREATE SUBSCRIPTION s CONNECTION '{production}' PUBLICATION p"));

        Assert.Contains("Connection refused", link.MessageText + link.Detail, StringComparison.Ordinal);
        Assert.Contains("Connection refused", subscription.MessageText + subscription.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_superuser_finds_no_shell_and_no_program()
    {
        await using var lease = await LeaseAsync("shell");

        var failed = await Assert.ThrowsAsync<PostgresException>(
            () => ExecuteAsync(ConnectionString(lease), "CREATE TABLE o (t text); COPY o FROM PROGRAM 'id'"));

        Assert.Contains("could not execute command", failed.MessageText, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/etc/passwd")]
    [InlineData("/etc/hostname")]
    [InlineData("/root")]
    [InlineData("/home")]
    [InlineData("/var/lib/postgresql")]
    [InlineData("/usr/bin")]
    [InlineData("/sys/fs/cgroup")]
    public async Task A_superuser_reads_no_file_of_the_host(string path)
    {
        await using var lease = await LeaseAsync($"files-{path.Length}-{(uint)path.GetHashCode(StringComparison.Ordinal)}");

        var missing = await ScalarAsync(ConnectionString(lease), $"SELECT pg_stat_file('{path}', missing_ok => true)::text");

        Assert.Equal(DBNull.Value, missing);
    }

    [Fact]
    public async Task A_superuser_sees_neither_siblings_nor_the_pool_nor_the_state_folder()
    {
        await using var sibling = await LeaseAsync("sibling");
        await using var lease = await LeaseAsync("nosy");
        var connection = ConnectionString(lease);

        var root = (string)(await ScalarAsync(connection, "SELECT string_agg(f, ' ' ORDER BY f) FROM pg_ls_dir('/') f"))!;
        var processes = (string)(await ScalarAsync(connection, "SELECT string_agg(pg_read_file('/proc/' || p || '/comm'), ',') FROM pg_ls_dir('/proc') p WHERE p ~ '^[0-9]+$'"))!;

        // A build that lies outside /usr is there too, by its whole path.
        string[] expected = ["conf", "data", "dev", "lib", "lib64", "proc", "socket", "tmp", "usr", fixture.Production.Installation.BinDirectory.Split('/')[1]];
        Assert.Equal(string.Join(' ', expected.Distinct().Order(StringComparer.Ordinal)), root);
        Assert.All(processes.Split(',', '\n').Where(name => name.Length > 0), name => Assert.Equal("postgres", name));
        Assert.Equal(DBNull.Value, await ScalarAsync(connection, $"SELECT pg_stat_file('{fixture.Options.StateDirectory}', missing_ok => true)::text"));
        Assert.Equal(DBNull.Value, await ScalarAsync(connection, $"SELECT pg_stat_file('{Path.GetDirectoryName(sibling.SocketPath)}', missing_ok => true)::text"));
    }

    [Fact]
    public async Task A_superuser_cannot_change_the_configuration_or_write_outside_the_data_directory()
    {
        await using var lease = await LeaseAsync("writer");
        var connection = ConnectionString(lease);

        foreach (var target in new[] { "/conf/postgresql.conf", "/usr/lib/x", "/x", "/proc/sys/kernel/hostname" })
        {
            var refused = await Assert.ThrowsAsync<PostgresException>(() => ExecuteAsync(connection, $"COPY (SELECT 'x') TO '{target}'"));
            Assert.Matches("Read-only|Permission denied", refused.MessageText);
        }
    }

    [Fact]
    public async Task A_library_that_a_superuser_writes_cannot_be_loaded()
    {
        Assert.SkipWhen(fixture.Manager.Status.Driver != "btrfs", "Only the pool's image is mounted noexec; the copy driver uses a folder of the host.");
        await using var lease = await LeaseAsync("library");
        var connection = ConnectionString(lease);
        var bytes = Convert.ToHexString(await File.ReadAllBytesAsync(fixture.Production.Installation.Library("dblink")!, Token));
        await ExecuteAsync(connection, $"SELECT lo_from_bytea(4242, decode('{bytes}', 'hex')); SELECT lo_export(4242, '/data/evil.so')");

        var refused = await Assert.ThrowsAsync<PostgresException>(() => ExecuteAsync(connection, "LOAD '/data/evil.so'"));

        Assert.Contains("failed to map segment", refused.MessageText, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Nothing_of_production_that_acts_or_opens_doors_is_in_a_branch()
    {
        await ExecuteAsync(
            fixture.Production.ConnectionString("bank"),
            "SELECT pg_create_logical_replication_slot('production_slot', 'pgoutput') WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = 'production_slot')");
        await ExecuteAsync(fixture.Production.ConnectionString("bank"), "ALTER SYSTEM SET archive_command = 'cp %p /archive/%f'");
        await fixture.FreshSeedAsync();
        await using var lease = await LeaseAsync("defused");
        var connection = ConnectionString(lease);

        Assert.Equal(0L, await ScalarAsync(connection, "SELECT count(*) FROM pg_replication_slots"));
        Assert.Equal(0L, await ScalarAsync(connection, "SELECT count(*) FROM pg_authid WHERE rolpassword IS NOT NULL"));
        Assert.Equal("off", await ScalarAsync(connection, "SHOW archive_mode"));
        Assert.Equal("", await ScalarAsync(connection, "SHOW primary_conninfo"));
        Assert.Equal("", await ScalarAsync(connection, "SHOW restore_command"));
        Assert.Equal(false, await ScalarAsync(connection, "SELECT pg_is_in_recovery()"));
        foreach (var file in Directory.EnumerateFiles(Path.Combine(fixture.Options.StateDirectory, "pool", "branches", $"b{fixture.Manager.Find("defused").Value!.Number}"), "*.conf"))
            Assert.DoesNotMatch("(?m)^\\s*(primary_conninfo|archive_command)\\b", await File.ReadAllTextAsync(file, Token));
    }

    async Task<ComputeLease> LeaseAsync(string name) => await fixture.ConnectAsync(await fixture.CreateAsync(name));
}
