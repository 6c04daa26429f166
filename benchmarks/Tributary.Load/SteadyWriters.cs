using System.Diagnostics;
using Npgsql;

namespace Tributary.Load;

/// <summary>
/// Writers that commit at a set rate, each on a connection of its own. A transaction that comes late does not shift those after it, so
/// the rate holds as long as the server keeps up.
/// </summary>
sealed class SteadyWriters : IAsyncDisposable
{
    readonly CancellationTokenSource _stop;
    readonly Task _all;

    SteadyWriters(CancellationTokenSource stop, Task all) => (_stop, _all) = (stop, all);

    /// <param name="statements">One transaction; <c>$1</c> is the writer (from 0), <c>$2</c> its count.</param>
    /// <param name="countsFrom">The first count of each writer.</param>
    /// <param name="committed">Called with writer, count and the moment at which the server had confirmed the commit.</param>
    public static SteadyWriters Start(
        string connectionString, int writers, double perSecond, IReadOnlyList<string> statements, long countsFrom, Action<int, long, long> committed,
        CancellationToken cancellationToken)
    {
        var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var interval = TimeSpan.FromSeconds(writers / perSecond);
        var all = Task.WhenAll(Enumerable.Range(0, writers).Select(
            writer => WriteAsync(connectionString, writer, interval, statements, countsFrom, committed, stop.Token)));
        return new SteadyWriters(stop, all);
    }

    /// <summary>Ends them between two transactions.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _all;
        _stop.Dispose();
    }

    static async Task WriteAsync(
        string connectionString, int writer, TimeSpan interval, IReadOnlyList<string> statements, long countsFrom, Action<int, long, long> committed,
        CancellationToken cancellationToken)
    {
        // A batch without BEGIN is one transaction, and prepared it is one round trip.
        await using var connection = new NpgsqlConnection(connectionString);
        await connection.OpenAsync(cancellationToken);
        await using var batch = new NpgsqlBatch(connection);
        foreach (var statement in statements)
            batch.BatchCommands.Add(new NpgsqlBatchCommand(statement) { Parameters = { new NpgsqlParameter<int> { TypedValue = writer }, new NpgsqlParameter<long>() } });
        await batch.PrepareAsync(cancellationToken);
        var started = Stopwatch.GetTimestamp();
        for (long n = 0; await DelayAsync((interval * n) - Stopwatch.GetElapsedTime(started), cancellationToken); n++)
        {
            foreach (var command in batch.BatchCommands)
                ((NpgsqlParameter<long>)command.Parameters[1]).TypedValue = countsFrom + n;
            await batch.ExecuteNonQueryAsync(CancellationToken.None);
            committed(writer, countsFrom + n, Stopwatch.GetTimestamp());
        }
    }

    // False when the writers are to end.
    static async Task<bool> DelayAsync(TimeSpan delay, CancellationToken cancellationToken)
    {
        try
        {
            if (delay > TimeSpan.Zero)
                await Task.Delay(delay, TimeProvider.System, cancellationToken);
            return !cancellationToken.IsCancellationRequested;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }
}
