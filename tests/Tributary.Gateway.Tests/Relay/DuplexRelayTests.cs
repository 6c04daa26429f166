using System.Globalization;
using Npgsql;
using Tributary.Gateway.Tests.Support;
using Tributary.Testing;

namespace Tributary.Gateway.Tests.Relay;

public sealed class DuplexRelayTests
{
    [Fact]
    public async Task Npgsql_pools_prepares_and_copies()
    {
        await using var gateway = await TestGateway.StartAsync();
        await using var source = NpgsqlDataSource.Create(gateway.ConnectionString(more: "Maximum Pool Size=4;Max Auto Prepare=5;Auto Prepare Min Usages=1"));
        await using (var create = source.CreateCommand("CREATE TABLE IF NOT EXISTS relayed (id bigint, word text); TRUNCATE relayed"))
            await create.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);

        await using (var connection = await source.OpenConnectionAsync(TestContext.Current.CancellationToken))
        {
            await using (var import = await connection.BeginBinaryImportAsync("COPY relayed FROM STDIN (FORMAT binary)", TestContext.Current.CancellationToken))
            {
                for (var i = 0L; i < 20_000; i++)
                    await import.WriteRowAsync(TestContext.Current.CancellationToken, i, $"word {i}");
                await import.CompleteAsync(TestContext.Current.CancellationToken);
            }

            using var export = await connection.BeginTextExportAsync("COPY relayed TO STDOUT", TestContext.Current.CancellationToken);
            var lines = (await export.ReadToEndAsync(TestContext.Current.CancellationToken)).Split('\n', StringSplitOptions.RemoveEmptyEntries);
            Assert.Equal(20_000, lines.Length);
            Assert.Equal("19999\tword 19999", lines[^1]);
        }

        for (var i = 0L; i < 50; i++)
        {
            await using var command = source.CreateCommand("SELECT word FROM relayed WHERE id = $1");
            command.Parameters.Add(new() { Value = i });
            Assert.Equal($"word {i.ToString(CultureInfo.InvariantCulture)}", await command.ExecuteScalarAsync(TestContext.Current.CancellationToken));
        }

        Assert.True(gateway.Listener.Status.SessionsTotal <= 4);
    }

    [Fact]
    public async Task Large_result_arrives_whole_and_is_counted()
    {
        await using var gateway = await TestGateway.StartAsync();
        await using var connection = await gateway.OpenAsync();
        await using var command = new NpgsqlCommand("SELECT repeat(md5(i::text), 1000) FROM generate_series(1, 1000) i", connection);

        long characters = 0;
        await using (var reader = await command.ExecuteReaderAsync(TestContext.Current.CancellationToken))
            while (await reader.ReadAsync(TestContext.Current.CancellationToken))
                characters += reader.GetString(0).Length;

        Assert.Equal(32_000_000, characters);
        Assert.True(gateway.Listener.Status.BytesToClients >= 32_000_000);
        Assert.True(gateway.Listener.Status.BytesFromClients > 0);
    }

    [Fact]
    public async Task Hundred_sessions_run_at_once_and_every_lease_is_disposed_once()
    {
        var server = await TestServers.StartAsync(["max_connections = 120"]);
        await using var ending = server;
        await using var gateway = await TestGateway.StartAsync(server: server);

        var connections = await Task.WhenAll(Enumerable.Range(0, 100).Select(_ => gateway.OpenAsync()));
        Assert.Equal(100, gateway.Listener.Status.SessionsNow);
        var pids = await Task.WhenAll(connections.Select(async connection =>
        {
            await using var command = new NpgsqlCommand("SELECT pg_backend_pid()", connection);
            return (int)(await command.ExecuteScalarAsync(TestContext.Current.CancellationToken))!;
        }));
        foreach (var connection in connections)
            await connection.DisposeAsync();
        await gateway.StopAsync();

        Assert.Equal(100, pids.Distinct().Count());
        Assert.Equal((100, 100), (gateway.Resolver.Opened, gateway.Resolver.Disposed));
        Assert.Equal(0, gateway.Listener.Status.SessionsNow);
    }

    [Fact]
    public async Task Server_that_dies_ends_the_client()
    {
        var server = await TestServers.StartAsync([]);
        await using var ending = server;
        await using var gateway = await TestGateway.StartAsync(server: server);
        await using var connection = await gateway.OpenAsync();
        await using var command = new NpgsqlCommand("SELECT pg_sleep(60)", connection);
        var sleeping = command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);

        await server.StopAsync("QUIT", TestContext.Current.CancellationToken);

        await Assert.ThrowsAnyAsync<NpgsqlException>(() => sleeping.WaitAsync(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken));
        await gateway.StopAsync();
        Assert.Equal((1, 1), (gateway.Resolver.Opened, gateway.Resolver.Disposed));
    }

    [Fact]
    public async Task Client_that_vanishes_frees_its_lease()
    {
        await using var gateway = await TestGateway.StartAsync();
        var client = await gateway.ConnectRawAsync();
        await client.SendStartupAsync(3 << 16, ("user", "postgres.agent-42"));
        await client.AuthenticateAsync(TestGateway.Password);
        while ((await client.ReadFrameAsync()).Type != (byte)'Z')
        {
        }

        await client.DisposeAsync();
        await Wait.UntilAsync(() => gateway.Listener.Status.SessionsNow == 0);

        Assert.Equal((1, 1), (gateway.Resolver.Opened, gateway.Resolver.Disposed));
    }
}
