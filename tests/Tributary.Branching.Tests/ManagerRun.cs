using Microsoft.Extensions.Logging.Abstractions;
using static Tributary.Branching.Tests.BranchingFixture;

namespace Tributary.Branching.Tests;

/// <summary>A manager that runs until it is disposed; what it knows can still be asked for afterwards.</summary>
sealed class ManagerRun : IAsyncDisposable
{
    readonly CancellationTokenSource _stop = new();
    readonly Task _run;

    ManagerRun(BranchManager manager)
    {
        Manager = manager;
        _run = manager.RunAsync(_stop.Token);
    }

    public BranchManager Manager { get; }

    public static async Task<ManagerRun> StartAsync(BranchingOptions options)
    {
        var opened = await BranchManager.OpenAsync(options, feed: null, TimeProvider.System, NullLoggerFactory.Instance, Token);
        Assert.True(opened.Succeeded, opened.Error?.Message);
        return new ManagerRun(opened.Value);
    }

    public async ValueTask DisposeAsync()
    {
        if (_stop.IsCancellationRequested)
            return;
        await _stop.CancelAsync();
        try
        {
            await _run;
        }
        catch (OperationCanceledException)
        {
            // That is how it ends.
        }

        await Manager.DisposeAsync();
        _stop.Dispose();
    }
}
