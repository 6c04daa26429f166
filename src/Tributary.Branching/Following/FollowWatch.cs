using Microsoft.Extensions.Logging;
using Npgsql;

namespace Tributary.Branching.Following;

/// <summary>
/// Watches over main's tie to production, and says when main can never go on and must be copied anew.
/// <list type="number">
/// <item>Look at the slot on production. One that is not there, as after a failover to a standby, is made.</item>
/// <item>A slot that production has given up, or that makes production keep more log than the limit, is not waited for.</item>
/// <item>While main receives nothing although production answers, look at what main's own log says about it.</item>
/// </list>
/// </summary>
/// <param name="isReceiving">Whether main receives production's log.</param>
/// <param name="lastLines">The end of main's own log.</param>
internal sealed class FollowWatch(
    BranchingOptions options, ProductionSlot slot, Func<CancellationToken, Task<bool>> isReceiving, Func<IReadOnlyList<string>> lastLines, TimeProvider time, ILogger logger)
{
    static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);

    /// <summary>A receiver that lost its connection is back within wal_retrieve_retry_interval, which is 5 s; what lasts longer is looked into.</summary>
    static readonly TimeSpan SilenceMax = TimeSpan.FromSeconds(15);

    /// <summary>
    /// What a receiver says that no waiting mends: the log is gone, or production's history has left the one that main is of
    /// (walreceiver.c, walsender.c and timeline.c in src/backend).
    /// </summary>
    static readonly string[] Final =
    [
        "has already been removed", "is not in this server's history", "is behind recovery timeline", "forked off current database system timeline",
    ];

    /// <summary>Watches until main must be copied anew, and answers why.</summary>
    public async Task<string> RunAsync(CancellationToken cancellationToken)
    {
        var lastReceived = time.GetTimestamp();
        while (true)
        {
            await Task.Delay(Interval, time, cancellationToken);
            try
            {
                if (await isReceiving(cancellationToken))
                    lastReceived = time.GetTimestamp();
                var silent = time.GetElapsedTime(lastReceived) > SilenceMax;
                if (await LookAsync(silent, cancellationToken) is { } why)
                    return why;
            }
            catch (NpgsqlException)
            {
                // Production or main does not answer: main waits for the one, and its follower starts the other.
            }
        }
    }

    async Task<string?> LookAsync(bool silent, CancellationToken cancellationToken)
    {
        // Step 1: the slot.
        var look = await slot.LookAsync(cancellationToken);
        if (!look.Exists)
        {
            await slot.MakePhysicalAsync(cancellationToken);
            Log.SlotMade(logger, options.SlotName);
            return null;
        }

        // Step 2: its limits.
        if (look.Over is not null)
            return look.Over;

        // Step 3: main's own words.
        return silent && lastLines().LastOrDefault(line => Final.Any(words => line.Contains(words, StringComparison.Ordinal))) is { } line
            ? $"main cannot go on: {line[(line.LastIndexOf("  ", StringComparison.Ordinal) + 1)..].Trim()}"
            : null;
    }
}
