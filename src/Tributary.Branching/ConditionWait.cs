namespace Tributary.Branching;

/// <summary>How what can only be asked for is waited for.</summary>
internal static class ConditionWait
{
    /// <summary>Asks again and again until it holds; false when it has not within the limit.</summary>
    /// <param name="poll">The pause between two questions.</param>
    public static async Task<bool> HoldsAsync(
        this TimeProvider time, Func<CancellationToken, Task<bool>> condition, TimeSpan poll, TimeSpan limit, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        while (!await condition(cancellationToken))
        {
            if (time.GetElapsedTime(started) > limit)
                return false;
            await Task.Delay(poll, time, cancellationToken);
        }

        return true;
    }
}
