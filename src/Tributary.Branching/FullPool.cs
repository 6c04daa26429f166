using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Tributary.Branching.Compute;
using Tributary.Branching.Storage;

namespace Tributary.Branching;

/// <summary>
/// Keeps main and the other branches going when branches have filled the pool.
/// <list type="number">
/// <item>While there is space, hold some of it back.</item>
/// <item>When there is none, stop the running branch that has most for itself, and then the next, until the pool is not full any more.</item>
/// <item>Give the space that was held back to whoever still runs, and to main.</item>
/// </list>
/// Until branches are deleted or the pool is enlarged, those that were stopped are refused with the reason.
/// </summary>
internal sealed class FullPool(
    BranchRegistry registry, IStorageDriver storage, BranchComputes computes, PoolReserve reserve, Func<long> freeBytes, TimeProvider time, ILogger logger)
{
    /// <summary>One system call each.</summary>
    static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    /// <summary>Less than this is none: a server that needs a segment of its log for itself takes 16 MiB.</summary>
    const long FreeBytesNone = 32L << 20;

    /// <summary>Whoever has less for himself has not filled the pool.</summary>
    const long OwnBytesLeast = 32L << 20;

    /// <summary>Bytes of those that were stopped, by the number of the volume.</summary>
    readonly ConcurrentDictionary<long, long> _stopped = new();

    bool _isFull;

    /// <summary>Why a client cannot have this branch; null when it can.</summary>
    public BranchError? WhyNot(Branch branch) => _stopped.TryGetValue(branch.Number, out var bytes) && freeBytes() < BranchRegistry.FreeBytesMin
        ? new BranchError(BranchErrorKind.PoolFull, $"The pool is full, and the branch {branch.Name} was stopped, since it has {bytes >> 20} MiB for itself. Delete branches (tributary branch delete NAME --purge), reset this one, or enlarge branching.pool-size.")
        : null;

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(Interval, time);
        while (await timer.WaitForNextTickAsync(cancellationToken))
        {
            try
            {
                await CheckAsync(cancellationToken);
            }
            catch (Exception exception) when (Obstacle.Is(exception))
            {
                Log.FullPoolNotHandled(logger, exception);
            }
        }
    }

    async Task CheckAsync(CancellationToken cancellationToken)
    {
        // Step 1: hold space back.
        if (freeBytes() >= FreeBytesNone)
        {
            _isFull = false;
            reserve.Take();
            if (freeBytes() >= BranchRegistry.FreeBytesMin)
                _stopped.Clear();
            return;
        }

        // Whoever fills it hears of it from his own Postgres before that is stopped.
        if (!_isFull)
        {
            _isFull = true;
            return;
        }

        // Step 2: stop who has most.
        if (await MostAsync(cancellationToken) is var (branch, bytes))
        {
            _stopped[branch.Number] = bytes;
            Log.BranchStoppedForSpace(logger, branch.Name.ToString(), bytes >> 20);
            await computes.StopAsync(branch, cancellationToken);
        }

        // Step 3: give it to the others.
        if (reserve.IsHeld)
        {
            Log.ReserveReleased(logger);
            await reserve.ReleaseAsync(cancellationToken);
        }
    }

    async Task<(Branch Branch, long Bytes)?> MostAsync(CancellationToken cancellationToken)
    {
        var running = registry.In(BranchState.Ready).Where(branch => computes.Describe(branch).Compute == ComputeState.Running).ToList();
        var measured = await storage.MeasureAsync([.. running.Select(branch => Branch.VolumeOf(branch.Number))], cancellationToken);
        var most = running.Select(branch => (Branch: branch, Bytes: measured.GetValueOrDefault(Branch.VolumeOf(branch.Number))?.ExclusiveBytes ?? 0)).OrderByDescending(static one => one.Bytes).FirstOrDefault();
        return most.Bytes >= OwnBytesLeast ? most : null;
    }
}
