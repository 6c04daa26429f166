using System.Diagnostics;
using Microsoft.Extensions.Logging.Abstractions;
using Tributary.Branching.Compute;
using Tributary.Postgres.Programs;
using Tributary.Testing;

namespace Tributary.Branching.Tests;

/// <summary>
/// What becomes of a server whose Tributary was killed before the kernel knew to end both. Such a moment cannot be hit at will, so the
/// server of these tests is started without the word that ties it to its parent.
/// </summary>
public sealed class StrayServerTests
{
    static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_server_that_has_outlived_its_Tributary_is_ended_before_anything_else_and_no_others()
    {
        var (run, others) = (TestFolder.New("run"), TestFolder.New("run"));
        var (stray, other) = (await StartAsync(run), await StartAsync(others));

        await StrayServers.EndAsync(run, TimeProvider.System, NullLogger.Instance, Token);

        Assert.False(Runs(stray));
        Assert.True(Runs(other));
        await StrayServers.EndAsync(others, TimeProvider.System, NullLogger.Instance, Token);
        Assert.False(Runs(other));
    }

    [Fact]
    public async Task So_is_main_which_has_no_sandbox()
    {
        var (run, data) = (TestFolder.New("run"), await InitializeAsync());
        var launcher = new PostgresLauncher(
            TestServers.Newest, run, ControlGroups.Open(run, TestFolder.New("cgroup"), NullLogger.Instance), TimeProvider.System, NullLogger.Instance);
        await using var main = await launcher.LaunchAsync(
            new LaunchSpec("main", data, ["shared_buffers = 16MB"]) { Sandboxed = false, StartTimeout = TimeSpan.FromSeconds(30) }, Token);

        await StrayServers.EndAsync(run, TimeProvider.System, NullLogger.Instance, Token);

        await main.Exited.WaitAsync(TimeSpan.FromSeconds(30), Token);
    }

    // Until the sandbox is made, the server's own environment is not there yet.
    [Fact]
    public async Task So_is_one_that_is_still_being_started()
    {
        var run = TestFolder.New("run");
        using var starting = await ChildProcesses.StartAsync(
            new ChildProcessSpec("/bin/sh", ["-c", "read x <\"$1\"", "sh", Pipe(run), StrayServers.OwnerVariable, StrayServers.OwnerOf(run)]), Token);

        await StrayServers.EndAsync(run, TimeProvider.System, NullLogger.Instance, Token);

        await starting.WaitForExitAsync(Token).WaitAsync(TimeSpan.FromSeconds(30), Token);
    }

    static string Pipe(string folder)
    {
        var path = Path.Combine(folder, "pipe");
        using var made = Process.Start("mkfifo", path);
        made.WaitForExit();
        return path;
    }

    // Answers the number of its first process, whose parent is the machine's first one.
    static async Task<int> StartAsync(string run)
    {
        var data = await InitializeAsync();
        var folder = new ComputeFolder(Path.Combine(run, "b1"));
        await folder.WriteAsync(["shared_buffers = 16MB"], Token);
        var arguments = Sandbox.Arguments(TestServers.Newest, new LaunchSpec("b1", data, []) { StartTimeout = TimeSpan.FromSeconds(30) }, folder, StrayServers.OwnerOf(run)).Where(word => word != "--die-with-parent");
        await ChildAsync("/bin/sh", ["-c", "\"$@\" >/dev/null 2>&1 </dev/null &", "sh", Sandbox.Program, .. arguments]);
        var state = Path.Combine(data, "postmaster.pid");
        var started = Stopwatch.StartNew();
        while (!File.Exists(state) || !File.ReadAllText(state).Contains("ready", StringComparison.Ordinal))
        {
            Assert.True(started.Elapsed < TimeSpan.FromSeconds(30), $"no server on {data}");
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, Token);
        }

        return Directory.EnumerateDirectories("/proc").Select(path => int.TryParse(Path.GetFileName(path), out var id) ? id : 0)
            .Single(id => id > 0 && MountsOf(id).Contains(folder.OpeningDirectory, StringComparison.Ordinal) && ParentIsNoPostgres(id));
    }

    static async Task<string> InitializeAsync()
    {
        var data = TestFolder.New("data");
        PostgresUser.Own(data);
        await ChildAsync(TestServers.Newest.Program("initdb"), ["-D", data, "-A", "trust", "-U", "postgres", "--no-sync"]);
        return data;
    }

    static async Task ChildAsync(string program, IReadOnlyList<string> arguments) =>
        (await ChildProcesses.RunAsync(new ChildProcessSpec(program, arguments) { AsPostgresUser = true }, Token)).EnsureSucceeded(program);

    static bool Runs(int process) => MountsOf(process).Length > 0;

    static bool ParentIsNoPostgres(int process) => !File.ReadAllText($"/proc/{File.ReadAllText($"/proc/{process}/stat").Split(") ")[1].Split(' ')[1]}/comm").StartsWith("postgres", StringComparison.Ordinal)
        && File.ReadAllText($"/proc/{process}/comm").StartsWith("postgres", StringComparison.Ordinal);

    static string MountsOf(int process)
    {
        try
        {
            return File.ReadAllText($"/proc/{process}/mountinfo");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }
}
