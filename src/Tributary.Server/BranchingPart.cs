using Microsoft.Extensions.Logging;
using Tributary.Branching;
using Tributary.Contracts;

namespace Tributary.Server;

/// <summary>Branching as the server runs it: the manager, and the loop that keeps it going.</summary>
sealed class BranchingPart : IAsyncDisposable
{
    readonly ServerPart _loop;

    public BranchingPart(BranchManager manager, BranchingOptions options, TimeProvider timeProvider, ILogger logger)
    {
        Manager = manager;
        Options = options;
        _loop = new ServerPart("branching", manager.RunAsync, timeProvider, logger);
    }

    public BranchManager Manager { get; }

    public BranchingOptions Options { get; }

    /// <summary>How long the recent branches took to make, as their requesters saw it.</summary>
    public RecentTimes CreateTimes { get; } = new();

    public void Start() => _loop.Start();

    public Task StopAsync() => _loop.StopAsync();

    /// <summary>The state now; the pool is measured too when asked, which walks the file system's books.</summary>
    public async Task<BranchingStatusResponse> StatusAsync(bool measure, CancellationToken cancellationToken)
    {
        var status = Manager.Status;
        var usage = measure && status.Phase is BranchingPhase.Following or BranchingPhase.CatchingUp or BranchingPhase.Serving ? await Manager.MeasureAsync(whole: false, cancellationToken) : null;
        return new BranchingStatusResponse
        {
            State = status.Phase == BranchingPhase.Failed ? PartState.Failed : status.Phase is BranchingPhase.Following or BranchingPhase.Serving ? _loop.State : PartState.Starting,
            Following = status.Following.ToString().ToLowerInvariant(),
            Phase = char.ToLowerInvariant(status.Phase.ToString()[0]) + status.Phase.ToString()[1..],
            Driver = status.Driver,
            MainLsn = status.MainLsn?.ToString(),
            BaseBackupPercent = status.BaseBackupPercent,
            Seeds = [.. status.Seeds.Select(seed => new SeedResponse(seed.Id, seed.Lsn.ToString(), seed.DataTime))],
            SparesReady = status.SparesReady,
            PastSince = status.PastSince,
            Branches = status.Branches,
            Running = status.Running,
            PoolUsedBytes = usage?.PoolUsedBytes,
            PoolBytesMax = usage?.PoolBytesMax ?? Options.PoolBytesMax,
            MainBytes = usage?.MainBytes,
            BranchesExclusiveBytes = usage?.Branches.Values.Sum(branch => branch.ExclusiveBytes),
            Error = _loop.Error ?? status.LastError,
        };
    }

    public async ValueTask DisposeAsync()
    {
        await _loop.DisposeAsync();
        await Manager.DisposeAsync();
    }
}
