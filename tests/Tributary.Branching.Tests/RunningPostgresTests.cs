using System.Diagnostics;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Tributary.Branching.Compute;
using Tributary.Testing;

namespace Tributary.Branching.Tests;

/// <summary>The end of a server, and of one that has to be ended. Shells stand for servers, since no server does this when it is asked to.</summary>
public sealed class RunningPostgresTests
{
    static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    static readonly TimeSpan Step = TimeSpan.FromSeconds(5);

    static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_server_that_has_not_heard_its_first_signal_to_end_hears_the_next_one()
    {
        // The shell's first QUIT only restores what a QUIT does by itself.
        using var process = await StartAsync("trap 'trap - QUIT' QUIT; echo ready; while :; do sleep 0.05; done");
        var running = new RunningPostgres(process, sandboxed: false, new ComputeFolder("/nowhere"), group: null, TimeProvider.System, NullLogger.Instance);

        await running.DisposeAsync().AsTask().WaitAsync(Limit, Token);

        Assert.True(running.Exited.IsCompletedSuccessfully);
    }

    [Fact]
    public async Task The_settings_of_a_server_that_has_ended_do_not_come_over_those_of_the_next_one()
    {
        var folder = new ComputeFolder(TestFolder.New("compute"));
        using var process = await StartAsync("echo ready; exec sleep 100");
        var running = new RunningPostgres(process, sandboxed: false, folder, group: null, TimeProvider.System, NullLogger.Instance);
        await folder.WriteAsync(["work_mem = 1MB"], Token);
        await running.ConfigureAsync(["work_mem = 2MB"], Token);
        Assert.Contains("work_mem = 2MB", await File.ReadAllTextAsync(folder.ConfigurationFile, Token), StringComparison.Ordinal);

        await running.DisposeAsync().AsTask().WaitAsync(Limit, Token);
        await folder.WriteAsync(["work_mem = 3MB"], Token);
        await running.ConfigureAsync(["work_mem = 4MB"], Token);

        Assert.Contains("work_mem = 3MB", await File.ReadAllTextAsync(folder.ConfigurationFile, Token), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_that_neither_recovers_nor_takes_writes_is_ended_for_its_keeper_to_start_it_anew()
    {
        using var process = await StartAsync(WithChild("postgres: checkpointer "));
        var time = new FakeTimeProvider();
        var running = new RunningPostgres(process, sandboxed: false, new ComputeFolder("/nowhere"), group: null, time, NullLogger.Instance);
        var ended = running.Exited;

        await AdvanceAsync(time, steps: 2);
        Assert.False(ended.IsCompleted);
        await AdvanceAsync(time, steps: 1);

        await ended.WaitAsync(Limit, Token);
    }

    [Theory]
    [InlineData("postgres: startup recovering 000000010000000000000003")]
    [InlineData("postgres: b1: startup ")]
    [InlineData("postgres: b1: walwriter ")]
    public async Task A_server_that_recovers_or_takes_writes_is_let_be(string title)
    {
        using var process = await StartAsync(WithChild(title));
        var time = new FakeTimeProvider();
        var running = new RunningPostgres(process, sandboxed: false, new ComputeFolder("/nowhere"), group: null, time, NullLogger.Instance);

        await AdvanceAsync(time, steps: 6);

        Assert.False(running.Exited.IsCompleted);
        process.Kill(entireProcessTree: true);
        await running.Exited.WaitAsync(Limit, Token);
    }

    static string WithChild(string title) => $"""bash -c "exec -a '{title}' sleep 100" & echo ready; wait""";

    static async Task<Process> StartAsync(string script)
    {
        // A script in the background lets its children inherit that they ignore QUIT, and a shell cannot take that back.
        var process = Process.Start(new ProcessStartInfo("env", ["--default-signal=QUIT", "sh", "-c", script]) { RedirectStandardOutput = true })!;
        Assert.Equal("ready", await process.StandardOutput.ReadLineAsync(Token));
        return process;
    }

    // What waits for the time asks it anew between two steps.
    static async Task AdvanceAsync(FakeTimeProvider time, int steps)
    {
        for (var step = 0; step < steps; step++)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(200), Token);
            time.Advance(Step);
        }

        await Task.Delay(TimeSpan.FromMilliseconds(200), Token);
    }
}
