using Npgsql;

namespace Tributary.Streaming.Tests.Ddl;

/// <summary>A command and the rows that follow it in its transaction, while others change the catalog too.</summary>
public sealed class DdlOrderTests
{
    static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>
    /// The trigger waits for a writer of the table before it writes its message. What that writer has changed in the catalog is told to the
    /// command's transaction when it commits, and lets the decoding go on with whatever has the same position as the message.
    /// </summary>
    [Fact]
    public async Task A_row_right_behind_a_command_comes_after_it_when_another_command_was_committed_meanwhile()
    {
        await using var stream = await StreamHarness.CreateAsync("CREATE TYPE mood AS ENUM ('low', 'high'); CREATE TABLE item (id int PRIMARY KEY, m mood)");
        await stream.StartAndCatchUpAsync();
        await using var writer = new NpgsqlConnection(stream.Source);
        await writer.OpenAsync(Token);
        await using var transaction = await writer.BeginTransactionAsync(Token);
        await ExecuteAsync(writer, "INSERT INTO item VALUES (1, 'low')");
        var change = stream.SourceAsync("ALTER TYPE mood RENAME VALUE 'low' TO 'deep'; INSERT INTO item VALUES (2, 'deep')");
        await StreamHarness.UntilAsync(async () => (long)(await StreamHarness.ScalarAsync(stream.Source, "SELECT count(*) FROM pg_locks WHERE NOT granted"))! > 0);

        await ExecuteAsync(writer, "CREATE TABLE other (id int)");
        await transaction.CommitAsync(Token);
        await change;
        await stream.CatchUpAsync();

        await stream.AssertEqualAsync();
        Assert.Equal("deep", await StreamHarness.ScalarAsync(stream.Target, "SELECT m::text FROM item WHERE id = 2"));
    }

    static async Task ExecuteAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(Token);
    }
}
