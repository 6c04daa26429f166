using Microsoft.Extensions.Logging;
using Tributary.Branching.Storage;

namespace Tributary.Branching;

/// <summary>Enlarges the pool's image as it fills up, when its disk has more room than it had when the image was made.</summary>
internal sealed class PoolKeeper(Pool pool, TimeProvider time, ILogger logger)
{
    /// <summary>One system call each; a quarter of the smallest image, which is free when growing begins, takes a busy branch about as long to fill.</summary>
    static readonly TimeSpan Interval = TimeSpan.FromSeconds(2);

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(Interval, time);
        while (await timer.WaitForNextTickAsync(cancellationToken))
        {
            try
            {
                if (await pool.GrowAsync(cancellationToken))
                    Log.PoolGrown(logger, pool.Space().Max >> 20);
            }
            catch (Exception exception) when (Obstacle.Is(exception))
            {
                Log.PoolNotGrown(logger, exception);
            }
        }
    }
}
