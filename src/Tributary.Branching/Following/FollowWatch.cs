using System.Globalization;
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
/// The slot is looked at also while main does not run: production keeps log for it all the same.
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

    /// <summary>What a server writes first, and what its receiver writes when it is connected: what was said before does not hold any more.</summary>
    static readonly string[] Fresh = ["starting PostgreSQL", "started streaming WAL"];

    volatile string? _problem;

    /// <summary>What keeps production's log from main, while it may still mend; null when nothing does.</summary>
    public string? Problem => _problem;

    /// <summary>Watches until main must be copied anew, and answers why.</summary>
    public async Task<string> RunAsync(CancellationToken cancellationToken)
    {
        _problem = null;
        var lastReceived = time.GetTimestamp();
        while (true)
        {
            await Task.Delay(Interval, time, cancellationToken);
            if (await IsReceivingAsync(cancellationToken))
                lastReceived = time.GetTimestamp();
            var silence = time.GetElapsedTime(lastReceived);
            try
            {
                if (await LookAsync(silence > SilenceMax, cancellationToken) is { } why)
                    return why;
                _problem = silence > SilenceMax ? string.Create(CultureInfo.InvariantCulture, $"main has received nothing from production for {silence.TotalSeconds:0} s{LastWords()}") : null;
            }
            catch (BranchingException exception)
            {
                // Another cluster answers: main waits for production, and has nothing to do with that one.
                _problem = exception.Message;
            }
            catch (Exception exception) when (Obstacle.Is(exception))
            {
                // Main waits for it.
                var reason = exception is PostgresException refused ? refused.MessageText : exception.InnerException?.Message ?? exception.Message;
                _problem = $"production {options.Production} does not answer: {reason}. Main goes on once it does; branches of the newest seed need no production";
            }
        }
    }

    async Task<bool> IsReceivingAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await isReceiving(cancellationToken);
        }
        catch (Exception exception) when (Obstacle.Is(exception))
        {
            // Main does not run; its follower starts it.
            return false;
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
        return silent && SinceFresh().FirstOrDefault(line => Final.Any(words => line.Contains(words, StringComparison.Ordinal))) is { } line
            ? $"main cannot go on: {Said(line)}"
            : null;
    }

    string LastWords() => SinceFresh().FirstOrDefault(static line => line.Contains("FATAL:", StringComparison.Ordinal)) is { } line ? $": {Said(line)}" : "";

    // The newest first.
    IEnumerable<string> SinceFresh() => lastLines().Reverse().TakeWhile(static line => !Fresh.Any(words => line.Contains(words, StringComparison.Ordinal)));

    static string Said(string line) => line[(line.LastIndexOf("  ", StringComparison.Ordinal) + 1)..].Trim();
}
