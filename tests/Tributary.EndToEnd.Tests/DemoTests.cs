using Tributary.EndToEnd.Tests.Support;

namespace Tributary.EndToEnd.Tests;

/// <summary>The demonstration cleans up however it ends. It is small here, so that it is quick.</summary>
public sealed class DemoTests : IAsyncDisposable
{
    const string InTheMiddle = "The gateway listens";

    // Only a hang exceeds them: beside other work on few processors a demonstration takes several times its half minute.
    static readonly TimeSpan MiddleLimit = TimeSpan.FromSeconds(180);
    static readonly TimeSpan WholeLimit = TimeSpan.FromSeconds(300);

    readonly TestSpace _space = new();

    string Folder => Path.Combine(_space.Folder, "demo");

    string[] Arguments => ["demo", "--exit", "--orders", "20000", "--agents", "6", "--directory", Folder];

    [Fact]
    public async Task A_run_after_one_that_was_killed_in_the_middle_succeeds_and_leaves_nothing()
    {
        var killed = await _space.StartAsync(Arguments);
        await killed.SaysAsync(InTheMiddle, MiddleLimit);
        var tree = Machine.Tree(killed.Id);
        await killed.KillAsync();
        Assert.NotEmpty(Machine.Mounts(Folder));
        await Eventually.NothingIsLeftAsync(() => Machine.StillRunning(tree), "the killed demonstration's processes", TimeSpan.FromSeconds(15));

        var next = await _space.StartAsync(Arguments);

        Assert.True(await next.ExitCodeAsync(WholeLimit) == 0, next.Log);
        Assert.Contains("What this run has measured", next.Log, StringComparison.OrdinalIgnoreCase);
        ExpectNothingLeft();
    }

    [Theory]
    [InlineData("INT")]
    [InlineData("TERM")]
    public async Task A_demonstration_that_is_stopped_in_the_middle_leaves_nothing_and_ends_with_130(string signal)
    {
        var stopped = await _space.StartAsync(Arguments);
        await stopped.SaysAsync(InTheMiddle, MiddleLimit);
        var tree = Machine.Tree(stopped.Id);

        await stopped.SignalAsync(signal);

        Assert.Equal(130, await stopped.ExitCodeAsync());
        Assert.Empty(Machine.StillRunning(tree));
        ExpectNothingLeft();
    }

    public async ValueTask DisposeAsync() => await _space.DisposeAsync();

    void ExpectNothingLeft()
    {
        Assert.Empty(Machine.LeftoversOf(Folder));
        Assert.DoesNotContain(Directory.EnumerateFileSystemEntries(_space.Folder).Select(Path.GetFileName), static name => name!.StartsWith("demo", StringComparison.Ordinal));
    }
}
