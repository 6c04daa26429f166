using Microsoft.Extensions.Logging;
using Tributary.Branching.Compute;

namespace Tributary.Branching;

/// <summary>
/// Writes down what branches have used and when, so that a restart forgets at most the last interval of it. The accounts are figures for
/// people, so a crash may cost them that much.
/// </summary>
internal sealed class UsageKeeper(BranchRegistry registry, BranchComputes computes, TimeProvider time, ILogger logger)
{
    static readonly TimeSpan Interval = TimeSpan.FromSeconds(30);

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(Interval, time);
        while (await timer.WaitForNextTickAsync(cancellationToken))
            TrySave();
    }

    public void TrySave()
    {
        try
        {
            Save();
        }
        catch (Exception exception) when (Obstacle.Is(exception))
        {
            Log.UsageNotSaved(logger, exception);
        }
    }

    void Save()
    {
        foreach (var branch in registry.In(BranchState.Ready))
        {
            var live = computes.Describe(branch);
            if (live.Usage == branch.Usage && live.LastUsedAt == branch.LastUsedAt)
                continue;
            // A reset in the meantime has written its own account.
            registry.Change(branch.Id, current => current.Number == branch.Number && current.State == BranchState.Ready
                ? current with { Usage = live.Usage, LastUsedAt = live.LastUsedAt }
                : new BranchError(BranchErrorKind.NotFound, "The branch has changed."));
        }
    }
}
