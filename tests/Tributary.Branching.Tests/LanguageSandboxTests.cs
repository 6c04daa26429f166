using Npgsql;
using Tributary.Testing;
using static Tributary.Branching.Tests.BranchingFixture;

namespace Tributary.Branching.Tests;

/// <summary>An untrusted language is arbitrary code with the server's rights: what the sandbox does not hold, nothing holds.</summary>
public sealed class LanguageSandboxTests(LimitedBranchingFixture limited) : IClassFixture<LimitedBranchingFixture>
{
    BranchingFixture Fixture => limited.Branching;

    [Fact]
    public async Task A_fork_bomb_ends_at_the_limit_and_a_sibling_stays_usable()
    {
        TestRequirement.Of(ComputeLimits.Obstacle() is null, ComputeLimits.Obstacle() ?? "");
        await using var sibling = await LeaseAsync("bomb-sibling");
        await using var lease = await LeaseAsync("bomb");

        // The children stay until they are killed, so that the sibling is asked while they are there.
        var forked = Run(lease, "my $n = 0; for (1..2000) { my $p = fork(); last unless defined $p; if ($p == 0) { sleep 4; kill 9, $$; } $n++; } return $n;");
        var count = int.Parse(await forked, System.Globalization.CultureInfo.InvariantCulture);

        Assert.Equal(1000L, await ScalarAsync(ConnectionString(sibling), "SELECT count(*) FROM accounts"));
        Assert.InRange(count, 1, 40);
        await UntilAsync(() => CanConnect(lease), () => "the branch does not recover from its own bomb");
    }

    [Fact]
    public async Task A_socket_reaches_neither_production_nor_a_sibling()
    {
        await using var sibling = await LeaseAsync("perl-sibling");
        await using var lease = await LeaseAsync("perl-net");
        using (var client = new System.Net.Sockets.TcpClient())
            await client.ConnectAsync("127.0.0.1", Fixture.Production.Port, Token);

        var tcp = await Run(lease, $"use Socket; socket(my $s, PF_INET, SOCK_STREAM, 6); return connect($s, sockaddr_in({Fixture.Production.Port}, inet_aton('127.0.0.1'))) ? 'connected' : \"$!\";");
        var unix = await Run(lease, $"use Socket; socket(my $s, PF_UNIX, SOCK_STREAM, 0); return connect($s, sockaddr_un('{sibling.SocketPath}')) ? 'connected' : \"$!\";");
        var outside = await Run(lease, "use Socket; socket(my $s, PF_INET, SOCK_STREAM, 6); return connect($s, sockaddr_in(53, inet_aton('192.0.2.1'))) ? 'connected' : \"$!\";");

        Assert.Equal("Connection refused", tcp);
        Assert.Equal("No such file or directory", unix);
        Assert.Equal("Network is unreachable", outside);
    }

    [Fact]
    public async Task Files_of_the_host_are_not_there_and_nothing_but_its_own_can_be_written()
    {
        await using var lease = await LeaseAsync("perl-files");
        string[] unreadable = ["/etc/passwd", "/etc/shadow", "/root/.bashrc", $"{Fixture.Options.StateDirectory}/secret.key", $"{Fixture.Options.StateDirectory}/run/main/passfile", "/sys/kernel/notes"];

        foreach (var path in unreadable)
            Assert.Equal("No such file or directory", await Run(lease, $"return open(my $f, '<', '{path}') ? 'read' : \"$!\";"));
        foreach (var path in new[] { "/usr/lib/x", "/conf/postgresql.conf", "/x" })
            Assert.Matches("Read-only file system|Permission denied", await Run(lease, $"return open(my $f, '>>', '{path}') ? 'written' : \"$!\";"));
    }

    [Fact]
    public async Task Nothing_takes_the_place_of_its_socket_and_no_file_is_written_outside_its_data()
    {
        await using var lease = await LeaseAsync("perl-socket");

        foreach (var folder in new[] { "/socket", "/tmp", "/dev", "/dev/shm", "/main", "/" })
            Assert.NotEqual("written", await Run(lease, $"return open(my $f, '>', '{folder}/x') ? 'written' : \"$!\";"));
        Assert.NotEqual("linked", await Run(lease, $"unlink('/socket/.s.PGSQL.5432'); return symlink('/etc/passwd', '/socket/.s.PGSQL.5432') ? 'linked' : \"$!\";"));

        Assert.Equal(1000L, await ScalarAsync(ConnectionString(lease), "SELECT count(*) FROM accounts"));
    }

    [Fact]
    public async Task A_link_in_the_place_of_its_slots_leads_no_fork_to_the_hosts_files()
    {
        await using var lease = await LeaseAsync("perl-slots");
        var host = Directory.CreateTempSubdirectory("host").FullName;
        var file = Path.Combine(Directory.CreateDirectory(Path.Combine(host, "kept")).FullName, "file");
        await File.WriteAllTextAsync(file, "", Token);
        try
        {
            Assert.Equal("linked", await Run(lease, $"rename('/data/pg_replslot', '/data/moved'); return symlink('{host}', '/data/pg_replslot') ? 'linked' : \"$!\";"));

            var forked = await Fixture.Manager.CreateAsync(new BranchRequest(BranchName.Parse("perl-slots-fork"), BranchOrigin.Branch) { Parent = "perl-slots" }, Token);

            Assert.True(forked.Succeeded, forked.Error?.Message);
            Assert.True(File.Exists(file), "The fork has removed a file of the host.");
        }
        finally
        {
            Directory.Delete(host, recursive: true);
        }
    }

    [Fact]
    public async Task A_branch_with_subvolumes_of_its_own_is_deleted_whole()
    {
        TestRequirement.Of(Fixture.Manager.Status.Driver == "btrfs", "Only the btrfs driver has subvolumes.");
        await using (var lease = await LeaseAsync("perl-volumes"))
        {
            // BTRFS_IOC_SUBVOL_CREATE with a name behind the descriptor's place; one of them lies in the other.
            const string Make = "my $a = pack('q Z4088', 0, 'inner'); sysopen(my $d, $p, 0) or die; ioctl($d, 0x5000940E, $a) or die \"$!\";";
            Assert.Equal("made", await Run(lease, $"for my $p ('/data', '/data/inner') {{ {Make} }} return 'made';"));
        }

        var branch = Fixture.Manager.Find("perl-volumes").Value!;
        var deleted = await Fixture.Manager.DeleteAsync(branch.Name, purge: true, Token);

        Assert.True(deleted.Succeeded, deleted.Error?.Message);
        Assert.False(Directory.Exists(Path.Combine(Fixture.Options.StateDirectory, "pool", "branches", $"b{branch.Number}")));
    }

    [Fact]
    public async Task Other_processes_are_neither_seen_nor_signalled_nor_traced()
    {
        await using var lease = await LeaseAsync("perl-processes");
        var own = Fixture.Production.ProcessId!.Value;
        // On this machine process numbers of the namespace are small and the test's own is not among them.
        var seen = await Run(lease, "opendir(my $d, '/proc'); return join(',', grep { /^[0-9]+$/ } readdir($d));");

        Assert.DoesNotContain($"{own}", seen.Split(','));
        Assert.Equal("No such process", await Run(lease, $"return kill(0, {own}) ? 'signalled' : \"$!\";"));
        Assert.Equal("No such process", await Run(lease, $"return syscall({Ptrace}, 16, {own}, 0, 0) == 0 ? 'traced' : \"$!\";"));
    }

    [Fact]
    public async Task No_new_namespace_gives_rights_back()
    {
        await using var lease = await LeaseAsync("perl-namespaces");

        // CLONE_NEWUSER: inside one of its own, a process would be root over new mounts and networks.
        var made = await Run(lease, $"return syscall({Unshare}, 0x10000000) == 0 ? 'made' : \"$!\";");

        Assert.Matches("No space left on device|Operation not permitted", made);
    }

    // Numbers of system calls: arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h.
    static int Ptrace => System.Runtime.InteropServices.RuntimeInformation.ProcessArchitecture == System.Runtime.InteropServices.Architecture.X64 ? 101 : 117;

    static int Unshare => System.Runtime.InteropServices.RuntimeInformation.ProcessArchitecture == System.Runtime.InteropServices.Architecture.X64 ? 272 : 97;

    static async Task<string> Run(ComputeLease lease, string perl)
    {
        await ExecuteAsync(ConnectionString(lease), $"CREATE EXTENSION IF NOT EXISTS plperlu; CREATE OR REPLACE FUNCTION run() RETURNS text LANGUAGE plperlu AS $perl$ {perl} $perl$");
        return (string)(await ScalarAsync(ConnectionString(lease), "SELECT run()"))!;
    }

    static bool CanConnect(ComputeLease lease)
    {
        try
        {
            return ScalarAsync(ConnectionString(lease), "SELECT 1").GetAwaiter().GetResult() is 1;
        }
        catch (NpgsqlException)
        {
            return false;
        }
    }

    async Task<ComputeLease> LeaseAsync(string name)
    {
        TestRequirement.Extension(Fixture.Production.Installation, "plperlu", "postgresql-plperl-15");
        TestRequirement.OfBuild(Fixture.Production.Installation, await LoadsPerlAsync(), "plperl does not load there for want of a libperl.");
        return await Fixture.ConnectAsync(await Fixture.CreateAsync(name));
    }

    async Task<bool> LoadsPerlAsync()
    {
        try
        {
            await ExecuteAsync(Fixture.Production.ConnectionString(), "LOAD 'plperl'");
            return true;
        }
        catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.UndefinedFile)
        {
            return false;
        }
    }
}
