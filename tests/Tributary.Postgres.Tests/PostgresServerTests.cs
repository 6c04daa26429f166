using Npgsql;
using Tributary.Testing;

namespace Tributary.Postgres.Tests;

public sealed class PostgresServerTests
{
    [Fact]
    public async Task Starts_and_answers_and_stops()
    {
        await using var server = await TestServers.StartAsync([]);
        await using (var connection = new NpgsqlConnection(server.ConnectionString() + ";Pooling=false"))
        {
            await connection.OpenAsync(TestContext.Current.CancellationToken);
            Assert.Equal(1, await new NpgsqlCommand("SELECT 1", connection).ExecuteScalarAsync(TestContext.Current.CancellationToken));
        }

        await server.StopAsync("INT", TestContext.Current.CancellationToken);

        Assert.Null(server.ProcessId);
    }
}
