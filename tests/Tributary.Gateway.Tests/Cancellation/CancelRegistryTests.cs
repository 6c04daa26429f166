using Npgsql;
using Tributary.Gateway.Tests.Support;
using Tributary.Postgres.Wire;

namespace Tributary.Gateway.Tests.Cancellation;

public sealed class CancelRegistryTests
{
    [Fact]
    public async Task Cancel_reaches_a_sleeping_query_within_a_second()
    {
        await using var gateway = await TestGateway.StartAsync();
        await using var connection = await gateway.OpenAsync();
        await using var command = new NpgsqlCommand("SELECT pg_sleep(60)", connection) { CommandTimeout = 30 };
        var marker = $"cancel-{Guid.NewGuid():N}";
        await using (var name = new NpgsqlCommand($"SET application_name = '{marker}'", connection))
            await name.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
        var sleeping = command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
        await UntilItSleepsAsync(gateway, marker);

        var began = TimeProvider.System.GetTimestamp();
        command.Cancel();
        var error = await Assert.ThrowsAnyAsync<Exception>(() => sleeping.WaitAsync(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken));

        Assert.Equal("57014", (error as PostgresException ?? error.InnerException as PostgresException)?.SqlState);
        Assert.True(TimeProvider.System.GetElapsedTime(began) < TimeSpan.FromSeconds(1));
        Assert.Equal(1, gateway.Listener.Status.CancelRequests);
    }

    [Fact]
    public async Task Wrong_key_is_answered_by_nothing_and_cancels_nothing()
    {
        await using var gateway = await TestGateway.StartAsync();
        await using var session = await gateway.ConnectRawAsync();
        await session.SendStartupAsync(3 << 16, ("user", "postgres.agent-42"));
        await session.AuthenticateAsync(TestGateway.Password);
        var key = await ReadUntilAsync(session, 'K');
        await ReadUntilAsync(session, 'Z');
        var wrong = key.Body.ToArray();
        wrong[^1] ^= 1;

        Assert.Empty(await CancelAsync(gateway, wrong));
        await session.SendAsync(new FrameWriter().Begin((byte)'Q').AddText("SELECT 1").End().Written);
        await ReadUntilAsync(session, 'D');
        await ReadUntilAsync(session, 'Z');

        Assert.Empty(await CancelAsync(gateway, key.Body));
    }

    static async Task<byte[]> CancelAsync(TestGateway gateway, ReadOnlyMemory<byte> backendKeyData)
    {
        await using var client = await gateway.ConnectRawAsync();
        var processId = System.Buffers.Binary.BinaryPrimitives.ReadInt32BigEndian(backendKeyData.Span);
        await client.SendAsync(StartupPacket.BuildCancel(processId, backendKeyData.Span[4..]));
        return await client.ReadToEndAsync();
    }

    static async Task<Frame> ReadUntilAsync(RawClient client, char type)
    {
        while (true)
        {
            var frame = await client.ReadFrameAsync();
            Assert.NotEqual(ErrorResponse.Type, frame.Type);
            if (frame.Type == (byte)type)
                return frame;
        }
    }

    static async Task UntilItSleepsAsync(TestGateway gateway, string applicationName)
    {
        await using var connection = new NpgsqlConnection(gateway.Server.ConnectionString());
        await connection.OpenAsync(TestContext.Current.CancellationToken);
        await using var command = new NpgsqlCommand(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND wait_event = 'PgSleep'", connection);
        command.Parameters.Add(new() { Value = applicationName });
        var began = TimeProvider.System.GetTimestamp();
        while ((long)(await command.ExecuteScalarAsync(TestContext.Current.CancellationToken))! == 0)
            Assert.True(TimeProvider.System.GetElapsedTime(began) < TimeSpan.FromSeconds(10), "the query did not begin to sleep");
    }
}
