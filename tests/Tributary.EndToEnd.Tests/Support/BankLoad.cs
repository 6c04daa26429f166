using Npgsql;

namespace Tributary.EndToEnd.Tests.Support;

/// <summary>
/// Writers on production: each transaction moves money between two accounts, notes the transfer, and appends to a list that has no key, so
/// that a change applied twice is a row too many. One in ten is rolled back. Its chance is seeded, its pace is set: about 50 a second each.
/// </summary>
sealed class BankLoad : IAsyncDisposable
{
    public const int Accounts = 500;
    public const long Money = Accounts * 1000L;
    public static readonly string[] Tables = ["accounts", "transfers", "entries"];

    static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(20);
    static readonly TimeSpan ReachLimit = TimeSpan.FromSeconds(60);

    readonly CancellationTokenSource _stop = new();
    readonly Task _writers;
    long _committed;

    BankLoad(string connectionString, int writers, int seed) =>
        _writers = Task.WhenAll(Enumerable.Range(1, writers).Select(writer => WriteAsync(connectionString, writer, new Random(seed + writer))));

    public long Committed => Interlocked.Read(ref _committed);

    public static Task MakeTablesAsync(string connectionString) => Sql.AskAsync(
        connectionString,
        $"""
        CREATE TABLE accounts (id int PRIMARY KEY, balance bigint NOT NULL, note text);
        CREATE TABLE transfers (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, payer int NOT NULL, payee int NOT NULL, amount bigint NOT NULL, at timestamptz NOT NULL DEFAULT now());
        CREATE TABLE entries (writer int NOT NULL, n bigint NOT NULL, text text);
        INSERT INTO accounts SELECT n, 1000, repeat('x', n % 90) FROM generate_series(1, {Accounts}) n;
        """);

    public static BankLoad Start(string connectionString, int writers, int seed) => new(connectionString, writers, seed);

    /// <summary>Waits until that many transactions are committed.</summary>
    public Task ReachAsync(long count) => Eventually.HoldsAsync(
        () => Task.FromResult(_writers.IsFaulted ? throw _writers.Exception! : Committed), committed => committed >= count, $"{count} transactions are committed", ReachLimit);

    /// <summary>Ends the writers; each ends between two transactions.</summary>
    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await _writers;
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _stop.Dispose();
    }

    async Task WriteAsync(string connectionString, int writer, Random random)
    {
        await using var connection = await Sql.OpenAsync(connectionString);
        using var timer = new PeriodicTimer(Pace);
        for (long n = 1; await TicksAsync(timer);)
        {
            var (payer, payee, amount) = (random.Next(1, Accounts + 1), random.Next(1, Accounts + 1), random.Next(1, 50));
            var kept = random.Next(10) != 0;
            // Locks are taken in the order of the accounts, so that writers cannot wait for each other in a circle.
            await using var command = new NpgsqlCommand(
                $"""
                BEGIN;
                SELECT 1 FROM accounts WHERE id IN ({payer}, {payee}) ORDER BY id FOR UPDATE;
                UPDATE accounts SET balance = balance - {amount} WHERE id = {payer};
                UPDATE accounts SET balance = balance + {amount} WHERE id = {payee};
                INSERT INTO transfers (payer, payee, amount) VALUES ({payer}, {payee}, {amount});
                INSERT INTO entries VALUES ({writer}, {n}, repeat(chr({97 + (n % 26)}), {random.Next(200)}));
                {(kept ? "COMMIT" : "ROLLBACK")};
                """, connection);
            await command.ExecuteNonQueryAsync(CancellationToken.None);
            if (!kept)
                continue;
            n++;
            Interlocked.Increment(ref _committed);
        }
    }

    async ValueTask<bool> TicksAsync(PeriodicTimer timer)
    {
        try
        {
            return await timer.WaitForNextTickAsync(_stop.Token);
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }
}
