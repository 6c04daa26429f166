using Npgsql;
using Tributary.Contracts;

namespace Tributary.EndToEnd.Tests.Support;

/// <summary>
/// A client of a branch that appends rows until its connection is cut, and remembers the last one that the branch has acknowledged.
/// It asks for synchronous commits: a branch's default may lose the last moment when its server is killed.
/// </summary>
sealed class BranchWriter
{
    static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(10);

    long _acknowledged;

    public required string Branch { get; init; }

    public required Task Cut { get; init; }

    /// <summary>The last row whose commit the branch has confirmed.</summary>
    public long Acknowledged => Interlocked.Read(ref _acknowledged);

    public static async Task<BranchWriter> StartAsync(BranchResponse branch)
    {
        var connection = await Sql.OpenAsync(branch.ConnectionString());
        await using (var command = new NpgsqlCommand("SET synchronous_commit = on; CREATE TABLE IF NOT EXISTS diary (n bigint)", connection))
            await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
        var begun = new TaskCompletionSource<BranchWriter>();
        var writer = new BranchWriter { Branch = branch.Name, Cut = WriteAsync(connection, begun.Task) };
        begun.SetResult(writer);
        await Eventually.HoldsAsync(() => Task.FromResult(writer.Acknowledged), static acknowledged => acknowledged >= 3, $"the branch {branch.Name} takes rows", TimeSpan.FromSeconds(20));
        return writer;
    }

    static async Task WriteAsync(NpgsqlConnection connection, Task<BranchWriter> begun)
    {
        var writer = await begun;
        await using var owned = connection;
        using var timer = new PeriodicTimer(Pace);
        try
        {
            await using var next = new NpgsqlCommand("INSERT INTO diary SELECT coalesce(max(n), 0) + 1 FROM diary RETURNING n", connection);
            while (await timer.WaitForNextTickAsync(CancellationToken.None))
                Interlocked.Exchange(ref writer._acknowledged, (long)(await next.ExecuteScalarAsync(CancellationToken.None))!);
        }
        catch (NpgsqlException)
        {
            // The connection is cut: that is what it waits for.
        }
    }
}
