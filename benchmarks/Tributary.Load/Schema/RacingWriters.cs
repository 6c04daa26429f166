using System.Collections.Concurrent;
using System.Diagnostics;
using Npgsql;

namespace Tributary.Load.Schema;

/// <summary>
/// Writers that change rows at a set rate while commands change the tables under them. They know the tables as they were a moment ago, so some
/// of their transactions fail, as those of an application do during a deployment; these are counted.
/// </summary>
sealed class RacingWriters : IAsyncDisposable
{
    const int Writers = 6;

    readonly CancellationTokenSource _stop = new();
    readonly ConcurrentDictionary<string, long> _failures = new();
    readonly Func<SchemaPicture> _picture;
    readonly Task _all;
    long _transactions;

    RacingWriters(string source, double perSecond, int seed, Func<SchemaPicture> picture)
    {
        _picture = picture;
        _all = Task.WhenAll(Enumerable.Range(0, Writers).Select(writer => Task.Run(() => WriteAsync(source, TimeSpan.FromSeconds(Writers / perSecond), new Random(seed + 1 + writer)))));
    }

    public long Transactions => Interlocked.Read(ref _transactions);

    public long Failures => _failures.Values.Sum();

    /// <summary>The most frequent reasons of failure, by their SQLSTATE.</summary>
    public string Reasons => string.Join(", ", _failures.OrderByDescending(static failure => failure.Value).Take(5).Select(static failure => $"{failure.Key}: {failure.Value}"));

    public static RacingWriters Start(string source, double perSecond, int seed, Func<SchemaPicture> picture) => new(source, perSecond, seed, picture);

    /// <summary>Ends them between two transactions.</summary>
    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await _all;
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _stop.Dispose();
    }

    async Task WriteAsync(string source, TimeSpan interval, Random random)
    {
        // A value that a lock keeps waiting must not hold up the rate for long.
        await using var connection = new NpgsqlConnection(source + ";Options=-c lock_timeout=1s -c statement_timeout=5s");
        await connection.OpenAsync();
        var choices = new SchemaChoices(random);
        var started = Stopwatch.GetTimestamp();
        for (long n = 0; !_stop.IsCancellationRequested; n++)
        {
            choices.Picture = _picture();
            // Most rows go to a partition by way of its parent.
            if (choices.Table(table => !table.IsPartition || choices.Chance(10)) is { } table)
                await TransactAsync(connection, Transaction(choices, table));
            var wait = (interval * n) - Stopwatch.GetElapsedTime(started);
            if (wait > TimeSpan.Zero)
                await Task.Delay(wait, TimeProvider.System, _stop.Token).ContinueWith(static _ => { }, TaskScheduler.Default);
        }
    }

    static string Transaction(SchemaChoices choices, PicturedTable table)
    {
        var first = RowChanges.Next(choices, table);
        if (choices.Chance(70))
            return first;
        var second = RowChanges.Next(choices, choices.Chance(50) ? table : choices.Table(static other => !other.IsPartition) ?? table);
        return choices.Chance(30) ? $"BEGIN; {first}; SAVEPOINT part; {second}; ROLLBACK TO part; {second}; COMMIT" : $"BEGIN; {first}; {second}; COMMIT";
    }

    async Task TransactAsync(NpgsqlConnection connection, string sql)
    {
        try
        {
            await using var command = new NpgsqlCommand(sql, connection);
            await command.ExecuteNonQueryAsync();
            Interlocked.Increment(ref _transactions);
        }
        catch (PostgresException exception)
        {
            _failures.AddOrUpdate($"{exception.SqlState} {exception.MessageText.Split('"')[0].Trim()}", 1, static (_, count) => count + 1);
            if (sql.StartsWith("BEGIN", StringComparison.Ordinal))
            {
                await using var undo = new NpgsqlCommand("ROLLBACK", connection);
                await undo.ExecuteNonQueryAsync();
            }
        }
    }
}
