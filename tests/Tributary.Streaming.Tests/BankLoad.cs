using Npgsql;

namespace Tributary.Streaming.Tests;

/// <summary>Three writers that move money between accounts, and note each transfer in a list without a key.</summary>
public sealed class BankLoad : IAsyncDisposable
{
    public const string Schema =
        """
        CREATE TABLE account (id int PRIMARY KEY, balance int);
        INSERT INTO account SELECT i, 1000 FROM generate_series(1, 200) i;
        CREATE TABLE event (line text);
        INSERT INTO event SELECT 'old ' || i FROM generate_series(1, 50000) i;
        """;

    readonly CancellationTokenSource _stop = new();
    Task _writers = Task.CompletedTask;
    int _transactions;

    public int Transactions => _transactions;

    public static BankLoad Start(string source)
    {
        var load = new BankLoad();
        load._writers = Task.WhenAll(Enumerable.Range(0, 3).Select(writer => load.WriteAsync(source, writer)));
        return load;
    }

    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await _writers;
    }

    /// <summary>Both sides hold the same rows, no money is lost, and no line is there twice.</summary>
    public async Task AssertCarriedAsync(StreamHarness stream)
    {
        await stream.AssertEqualAsync();
        Assert.Equal(200_000L, await StreamHarness.ScalarAsync(stream.Target, "SELECT sum(balance) FROM account"));
        Assert.Equal(0L, await StreamHarness.ScalarAsync(stream.Target, "SELECT count(*) - count(DISTINCT line) FROM event"));
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _stop.Dispose();
    }

    async Task WriteAsync(string source, int writer)
    {
        var random = new Random(writer);
        var run = 0;
        while (!_stop.IsCancellationRequested)
        {
            run++;
            try
            {
                await using var connection = new NpgsqlConnection(source);
                await connection.OpenAsync(_stop.Token);
                for (var i = 0; !_stop.IsCancellationRequested; i++)
                {
                    // Ordered locks, so that the writers do not deadlock. The pause leaves the processor to those under test.
                    var (a, b) = (random.Next(1, 100), random.Next(101, 200));
                    await using var command = new NpgsqlCommand(
                        $"BEGIN; UPDATE account SET balance = balance - 5 WHERE id = {a}; UPDATE account SET balance = balance + 5 WHERE id = {b}; " +
                        $"INSERT INTO event VALUES ('{writer}-{run}-{i}'); COMMIT", connection);
                    await command.ExecuteNonQueryAsync(CancellationToken.None);
                    Interlocked.Increment(ref _transactions);
                    await Task.Delay(TimeSpan.FromMilliseconds(2), TimeProvider.System, CancellationToken.None);
                }
            }
            catch (Exception exception) when (exception is NpgsqlException or IOException or OperationCanceledException)
            {
                // The server is down for a moment, as the test wants it; the next connection goes on.
                await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, CancellationToken.None);
            }
        }
    }
}
