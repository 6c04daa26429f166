using System.Diagnostics;
using Npgsql;

namespace Tributary.Load.Latency;

/// <summary>Notes when each transaction is first visible in a replica: a prepared query of four rows, asked anew within a millisecond.</summary>
sealed class ReplicaWatch
{
    static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(1);

    readonly long _countsFrom;
    readonly List<long>[] _seen = [.. Enumerable.Range(0, MarkedTables.Writers).Select(static _ => new List<long>())];

    ReplicaWatch(long countsFrom) => _countsFrom = countsFrom;

    /// <summary>Watches until all that <paramref name="writersEnded"/> tells are seen: the number of transactions of each writer.</summary>
    public static async Task<ReplicaWatch> RunAsync(string replica, long countsFrom, Task<int[]> writersEnded, CancellationToken cancellationToken)
    {
        var watch = new ReplicaWatch(countsFrom);
        await using var connection = new NpgsqlConnection(replica);
        await connection.OpenAsync(cancellationToken);
        await using var progress = new NpgsqlCommand(MarkedTables.Progress, connection);
        await progress.PrepareAsync(cancellationToken);
        using var timer = new PeriodicTimer(PollInterval);
        while (!(writersEnded.IsCompleted && watch._seen.Zip(await writersEnded).All(static pair => pair.First.Count >= pair.Second)))
        {
            await watch.LookAsync(progress, cancellationToken);
            await timer.WaitForNextTickAsync(cancellationToken);
        }

        return watch;
    }

    /// <summary>From the confirmed commit to its sight; one that was seen before its confirmation had come back counts as 0.</summary>
    public void AddLags(Durations durations, IReadOnlyList<List<long>> commits)
    {
        for (var writer = 0; writer < commits.Count; writer++)
        {
            foreach (var (commit, seen) in commits[writer].Zip(_seen[writer]))
                durations.Add(seen <= commit ? TimeSpan.Zero : Stopwatch.GetElapsedTime(commit, seen));
        }
    }

    async Task LookAsync(NpgsqlCommand progress, CancellationToken cancellationToken)
    {
        await using var reader = await progress.ExecuteReaderAsync(cancellationToken);
        var marks = new List<(int Writer, long N)>();
        while (await reader.ReadAsync(cancellationToken))
            marks.Add((reader.GetInt32(0), reader.GetInt64(1)));
        var now = Stopwatch.GetTimestamp();
        foreach (var (writer, n) in marks)
        {
            while (_countsFrom + _seen[writer].Count <= n)
                _seen[writer].Add(now);
        }
    }
}
