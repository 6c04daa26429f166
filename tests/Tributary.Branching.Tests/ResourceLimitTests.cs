using System.Diagnostics;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using Tributary.Branching.Compute;
using Tributary.Testing;
using static Tributary.Branching.Tests.BranchingFixture;

namespace Tributary.Branching.Tests;

/// <summary>What one branch takes of the machine is bounded, and its neighbours do not notice.</summary>
public sealed class ResourceLimitTests(LimitedBranchingFixture limited) : IClassFixture<LimitedBranchingFixture>
{
    BranchingFixture Fixture => limited.Branching;

    [Fact]
    public async Task A_session_that_takes_too_much_memory_ends_and_a_sibling_goes_on()
    {
        SkipWithoutGroups();
        await using var sibling = await LeaseAsync("mem-sibling");
        await using var session = new NpgsqlConnection(ConnectionString(sibling));
        await session.OpenAsync(Token);
        await using var lease = await LeaseAsync("mem-hog");
        // What a branch has committed last does not wait for the disk unless it says so.
        await ExecuteAsync(ConnectionString(lease), "SET synchronous_commit = on; CREATE TABLE before_the_hog (x int)");

        // One value in memory, far beyond the limit of the branch and far below the machine.
        await Assert.ThrowsAnyAsync<NpgsqlException>(() => ExecuteAsync(
            ConnectionString(lease), "SET work_mem = '2GB'; SELECT count(DISTINCT s) FROM (SELECT repeat(i::text, 200) s FROM generate_series(1, 3000000) i) q"));

        // The sibling's very session lives, and the branch itself comes back.
        await using var ask = new NpgsqlCommand("SELECT count(*) FROM accounts", session);
        Assert.Equal(1000L, await ask.ExecuteScalarAsync(Token));
        await UntilAsync(() => Answers(lease), () => $"the branch does not come back:\n{string.Join('\n', Fixture.Manager.LogOf(Fixture.Manager.Find("mem-hog").Value!).Tail(30).Lines)}");
    }

    // It runs before anybody asks for it, and a branch gets it as it is.
    [Fact]
    public async Task A_spare_is_in_a_group_with_the_limits_of_a_branch()
    {
        SkipWithoutGroups();
        await UntilAsync(() => Fixture.Manager.Status.SparesReady > 0, () => $"no spare: {Fixture.Manager.Status}");
        var run = Path.Combine(Fixture.Options.StateDirectory, "run");
        var spare = Path.GetFileName(Assert.Single(Directory.EnumerateDirectories(run), folder => Directory.Exists(Path.Combine(folder, "up"))));

        var groups = Directory.EnumerateDirectories("/sys/fs/cgroup", spare, new EnumerationOptions { RecurseSubdirectories = true, IgnoreInaccessible = true })
            .Where(group => File.ReadAllLines(Path.Combine(group, "cgroup.procs")).Any(process => CommandLine(process).Any(word => word.Contains(Path.Combine(run, spare), StringComparison.Ordinal))))
            .ToList();

        // A group by controller in version 1, one for all in version 2.
        var limits = groups.SelectMany(group => new[] { "memory.max", "memory.limit_in_bytes" }.Select(file => Path.Combine(group, file))).Where(File.Exists).Select(File.ReadAllText);
        Assert.Equal($"{128 << 20}", Assert.Single(limits).Trim());
    }

    [Fact]
    public async Task Processor_time_is_rationed_and_counted()
    {
        SkipWithoutGroups();
        await using var lease = await LeaseAsync("cpu-hog");
        await using var session = new NpgsqlConnection(ConnectionString(lease));
        await session.OpenAsync(Token);
        var branch = Fixture.Manager.Find("cpu-hog").Value!;
        var before = Fixture.Manager.Find(branch.Name.ToString()).Value!.Usage.CpuTime;
        var started = Stopwatch.GetTimestamp();

        await using (var burn = new NpgsqlCommand("DO $$ BEGIN WHILE clock_timestamp() < now() + interval '2 seconds' LOOP END LOOP; END $$", session))
            await burn.ExecuteNonQueryAsync(Token);

        // Half a core for two seconds is one second; the period and the clock leave a margin.
        var elapsed = Stopwatch.GetElapsedTime(started);
        var used = Fixture.Manager.Find(branch.Name.ToString()).Value!.Usage.CpuTime - before;
        Assert.InRange(used.TotalSeconds, 0.3, elapsed.TotalSeconds * 0.7);
    }

    [Fact]
    public async Task Processor_time_survives_sleep()
    {
        var branch = await Fixture.CreateAsync("cpu-sleeper");
        await using (var lease = await Fixture.ConnectAsync(branch))
            await ExecuteAsync(ConnectionString(lease), "SELECT count(*) FROM generate_series(1, 1000000)");
        var awake = Fixture.Manager.Find(branch.Name.ToString()).Value!.Usage.CpuTime;

        await Fixture.StopIdleAsync();

        Assert.True(awake > TimeSpan.Zero);
        Assert.True(Fixture.Manager.Find(branch.Name.ToString()).Value!.Usage.CpuTime >= awake);
    }

    [Fact]
    public async Task Groups_go_with_their_branches()
    {
        SkipWithoutGroups();
        var branch = await Fixture.CreateAsync("grouped");
        await using (var lease = await Fixture.ConnectAsync(branch))
            Assert.NotEmpty(Groups(branch));

        await Fixture.Manager.DeleteAsync(branch.Name, purge: true, Token);

        Assert.Empty(Groups(branch));
    }

    [Fact]
    public async Task Without_control_groups_processes_are_bounded_all_the_same_and_time_is_counted()
    {
        var installation = Fixture.Production.Installation;
        var state = TestFolder.New("alone");
        await using var source = await TestServers.StartAsync([]);
        await source.StopAsync("INT", Token);
        var launcher = new PostgresLauncher(
            installation, Path.Combine(state, "run"), ControlGroups.Open(state, Path.Combine(state, "no-groups"), NullLogger.Instance), TimeProvider.System, NullLogger.Instance);
        File.WriteAllText(Path.Combine(source.DataDirectory, "postgresql.conf"), "");
        Directory.CreateDirectory(Path.Combine(state, "run"));

        await using var running = await launcher.LaunchAsync(
            new LaunchSpec("bounded", source.DataDirectory, ["max_connections = 60"]) { StartTimeout = TimeSpan.FromSeconds(30), Limits = new ComputeLimits { ProcessesMax = 20 } }, Token);
        var sessions = await OpenManyAsync($"Host={running.SocketDirectory};Username=postgres;Database=postgres;Pooling=false", 40);

        Assert.InRange(sessions, 1, 20);
        Assert.True(running.CpuTime > TimeSpan.Zero);
    }

    [Fact]
    public void Version_two_of_the_interface_gets_its_files()
    {
        var root = TestFolder.New("cgroup2");
        File.WriteAllText(Path.Combine(root, "cgroup.controllers"), "cpuset cpu io memory pids\n");
        File.WriteAllText(Path.Combine(root, "cgroup.subtree_control"), "cpu memory pids\n");
        var groups = ControlGroups.Open("/state", root, NullLogger.Instance);

        var group = groups.Create("b1", new ComputeLimits { MemoryBytesMax = 64 << 20, CpusMax = 0.5, ProcessesMax = 99 });

        Assert.Null(groups.Obstacle);
        var folder = Path.GetDirectoryName(Assert.Single(group!.ProcessFiles))!;
        Assert.StartsWith(Path.Combine(root, "tributary-"), folder, StringComparison.Ordinal);
        Assert.Equal("b1", Path.GetFileName(folder));
        Assert.Equal("99", File.ReadAllText(Path.Combine(folder, "pids.max")));
        Assert.Equal("67108864", File.ReadAllText(Path.Combine(folder, "memory.max")));
        Assert.Equal("50000 100000", File.ReadAllText(Path.Combine(folder, "cpu.max")));
        File.WriteAllText(Path.Combine(folder, "cpu.stat"), "usage_usec 2500000\nuser_usec 1\n");
        Assert.Equal(TimeSpan.FromSeconds(2.5), group.CpuTime());
    }

    [Fact]
    public void Without_a_tree_the_obstacle_is_named_and_servers_run_without()
    {
        var groups = ControlGroups.Open("/state", TestFolder.New("cgroup-none"), NullLogger.Instance);

        Assert.Contains("pids, memory, cpu", groups.Obstacle, StringComparison.Ordinal);
        Assert.Null(groups.Create("b1", new ComputeLimits { ProcessesMax = 1 }));
    }

    static void SkipWithoutGroups() => TestRequirement.Of(ComputeLimits.Obstacle() is null, ComputeLimits.Obstacle() ?? "");

    static async Task<int> OpenManyAsync(string connectionString, int wanted)
    {
        var open = new List<NpgsqlConnection>();
        try
        {
            for (var i = 0; i < wanted; i++)
            {
                var connection = new NpgsqlConnection(connectionString);
                open.Add(connection);
                await connection.OpenAsync(Token);
            }

            return wanted;
        }
        catch (NpgsqlException)
        {
            return open.Count - 1;
        }
        finally
        {
            foreach (var connection in open)
                await connection.DisposeAsync();
        }
    }

    List<string> Groups(Branch branch) =>
    [
        .. Directory.EnumerateDirectories(ControlGroups.MachineRoot, $"b{branch.Number}", SearchOption.AllDirectories)
            .Where(path => path.Contains($"/{ControlGroups.NameFor(Fixture.Options.StateDirectory)}/", StringComparison.Ordinal)),
    ];

    static bool Answers(ComputeLease lease)
    {
        try
        {
            return ScalarAsync(ConnectionString(lease), "SELECT count(*) FROM before_the_hog").GetAwaiter().GetResult() is 0L;
        }
        catch (NpgsqlException)
        {
            return false;
        }
    }

    async Task<ComputeLease> LeaseAsync(string name) => await Fixture.ConnectAsync(await Fixture.CreateAsync(name));
}
