using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Tributary.Branching.Compute;

namespace Tributary.Branching;

/// <summary>
/// Holds branches to <see cref="BranchingOptions.BranchBytesMax"/>. Only one that runs can grow, so only those are measured; one that is over
/// is stopped, and refused until a reset has given it another volume. Meanwhile it may have written as much as the disk takes in one interval.
/// </summary>
internal sealed class BranchQuota(
    BranchingOptions options, BranchRegistry registry, IStorageDriver storage, BranchComputes computes, TimeProvider time, ILogger logger)
{
    static readonly TimeSpan Interval = TimeSpan.FromSeconds(2);

    /// <summary>Bytes of those that are over, by the number of the volume.</summary>
    readonly ConcurrentDictionary<long, long> _over = new();

    /// <summary>Why a client cannot have this branch; null when it can.</summary>
    public BranchError? WhyNot(Branch branch) => _over.TryGetValue(branch.Number, out var bytes)
        ? new BranchError(BranchErrorKind.LimitReached, $"The branch {branch.Name} has {bytes >> 20} MiB of its own, and branching.branch-bytes-max allows {options.BranchBytesMax >> 20} MiB. Reset it (tributary branch reset {branch.Name}), delete it, or raise the limit.")
        : null;

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        if (options.BranchBytesMax is not { } most)
            return;
        using var timer = new PeriodicTimer(Interval, time);
        while (await timer.WaitForNextTickAsync(cancellationToken))
            await CheckAsync(most, cancellationToken);
    }

    async Task CheckAsync(long most, CancellationToken cancellationToken)
    {
        var branches = registry.In(BranchState.Ready);
        foreach (var gone in _over.Keys.Except(branches.Select(branch => branch.Number)))
            _over.TryRemove(gone, out _);
        var running = branches.Where(branch => computes.Describe(branch).Compute == ComputeState.Running).ToList();
        if (running.Count == 0)
            return;
        try
        {
            var measured = await storage.MeasureAsync([.. running.Select(branch => Branch.VolumeOf(branch.Number))], cancellationToken);
            foreach (var branch in running)
            {
                if (measured.GetValueOrDefault(Branch.VolumeOf(branch.Number))?.ExclusiveBytes is not { } bytes || bytes <= most)
                    continue;
                _over[branch.Number] = bytes;
                Log.BranchOverQuota(logger, branch.Name.ToString(), bytes);
                await computes.StopAsync(branch, cancellationToken);
            }
        }
        catch (Exception exception) when (Obstacle.Is(exception))
        {
            Log.QuotaNotChecked(logger, exception);
        }
    }
}
