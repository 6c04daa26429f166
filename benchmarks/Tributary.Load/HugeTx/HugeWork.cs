using System.Diagnostics;
using Npgsql;
using Tributary.Postgres.Programs;

namespace Tributary.Load.HugeTx;

/// <summary>How long the transaction took to be written, its commit included, and how much later the replica showed it.</summary>
sealed record Measured(TimeSpan Writing, TimeSpan AfterCommit)
{
    public override string ToString() => $"written in {Writing.TotalSeconds:0.0} s, visible {AfterCommit.TotalSeconds:0.00} s after ({AfterCommit / Writing:P0})";
}

/// <summary>Writes one transaction of so many gigabytes, a statement for each 100,000 rows, and waits for its last row in the replica.</summary>
sealed class HugeWork(double gigabytes)
{
    /// <summary>Of one row's values, too short to be compressed.</summary>
    public const int RowBytes = 500;

    public const string Table = "CREATE TABLE huge (id bigint PRIMARY KEY, n int NOT NULL, body text NOT NULL)";

    const int StatementRows = 100_000;

    static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(5);

    readonly long _rows = (long)(gigabytes * (1L << 30) / RowBytes);

    public async Task<Measured> RunAsync(PostgresServer production, PostgresServer replica, long firstId, CancellationToken cancellationToken)
    {
        await using var connection = new NpgsqlConnection(production.ConnectionString() + ";CommandTimeout=0");
        await connection.OpenAsync(cancellationToken);
        var started = Stopwatch.GetTimestamp();
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        for (var done = 0L; done < _rows; done += StatementRows)
        {
            await using var insert = new NpgsqlCommand(
                $"INSERT INTO huge SELECT i, i % 1000, repeat(md5(i::text), 15) FROM generate_series({firstId + done}, {firstId + Math.Min(_rows, done + StatementRows) - 1}) i", connection);
            await insert.ExecuteNonQueryAsync(cancellationToken);
        }

        await transaction.CommitAsync(cancellationToken);
        var committed = Stopwatch.GetTimestamp();
        await SeeAsync(replica, firstId + _rows - 1, cancellationToken);
        return new Measured(Stopwatch.GetElapsedTime(started, committed), Stopwatch.GetElapsedTime(committed));
    }

    static async Task SeeAsync(PostgresServer replica, long id, CancellationToken cancellationToken)
    {
        await using var connection = new NpgsqlConnection(replica.ConnectionString());
        await connection.OpenAsync(cancellationToken);
        await using var look = new NpgsqlCommand($"SELECT 1 FROM huge WHERE id = {id}", connection);
        while (await look.ExecuteScalarAsync(cancellationToken) is null)
            await Task.Delay(PollInterval, TimeProvider.System, cancellationToken);
    }
}
