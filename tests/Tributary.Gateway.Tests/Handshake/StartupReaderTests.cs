using System.Buffers.Binary;
using System.Text;
using Microsoft.Extensions.Time.Testing;
using Tributary.Gateway.Tests.Support;
using Tributary.Postgres.Wire;

namespace Tributary.Gateway.Tests.Handshake;

public sealed class StartupReaderTests
{
    static readonly byte[] SslRequest = [0, 0, 0, 8, 0x04, 0xD2, 0x16, 0x2F];
    static readonly byte[] GssRequest = [0, 0, 0, 8, 0x04, 0xD2, 0x16, 0x30];

    [Fact]
    public async Task Encryption_is_refused_with_one_byte_and_the_client_goes_on()
    {
        await using var gateway = await TestGateway.StartAsync();
        await using var client = await gateway.ConnectRawAsync();

        await client.SendAsync(GssRequest);
        Assert.Equal((byte)'N', await client.ReadByteAsync());
        await client.SendAsync(SslRequest);
        Assert.Equal((byte)'N', await client.ReadByteAsync());
        await client.SendStartupAsync(3 << 16, ("user", "postgres.agent-42"));

        Assert.Equal((byte)'R', (await client.ReadFrameAsync()).Type);
    }

    [Fact]
    public async Task Client_cannot_ask_for_encryption_for_ever()
    {
        await using var gateway = await TestGateway.StartAsync();
        await using var client = await gateway.ConnectRawAsync();
        await client.SendAsync(SslRequest);
        await client.ReadByteAsync();

        await client.SendAsync(SslRequest);

        Assert.Equal("08P01", (await client.ReadErrorAsync()).SqlState);
    }

    [Theory]
    [InlineData((3 << 16) | 2, 32)]
    [InlineData(3 << 16, 4)]
    public async Task Cancel_key_has_the_length_of_the_protocol_version(int version, int keyBytes)
    {
        await using var gateway = await TestGateway.StartAsync();
        await using var client = await gateway.ConnectRawAsync();
        await client.SendStartupAsync(version, ("user", "postgres.agent-42"));
        await client.AuthenticateAsync(TestGateway.Password);

        Frame frame;
        do
            frame = await client.ReadFrameAsync();
        while (frame.Type != (byte)'K');

        Assert.Equal(4 + keyBytes, frame.Body.Length);
    }

    [Fact]
    public async Task Newer_minor_version_and_unknown_options_are_negotiated()
    {
        await using var gateway = await TestGateway.StartAsync();
        await using var client = await gateway.ConnectRawAsync();

        await client.SendStartupAsync((3 << 16) | 9999, ("user", "postgres.agent-42"), ("_pq_.grease", "1"));

        var frame = await client.ReadFrameAsync();
        Assert.Equal((byte)'v', frame.Type);
        Assert.Equal((3 << 16) | 2, BinaryPrimitives.ReadInt32BigEndian(frame.Body.Span));
        Assert.Equal(1, BinaryPrimitives.ReadInt32BigEndian(frame.Body.Span[4..]));
        Assert.Equal("_pq_.grease\0", Encoding.ASCII.GetString(frame.Body.Span[8..]));
        Assert.EndsWith("R 12;", await client.AuthenticateAsync(TestGateway.Password), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(10_005, "08P01")]
    [InlineData(int.MaxValue, "08P01")]
    [InlineData(7, "08P01")]
    [InlineData(-1, "08P01")]
    public async Task Impossible_length_is_refused_before_the_body_is_read(int length, string sqlState)
    {
        await using var gateway = await TestGateway.StartAsync();
        await using var client = await gateway.ConnectRawAsync();
        var packet = new byte[20_000];
        BinaryPrimitives.WriteInt32BigEndian(packet, length);

        await client.SendAsync(packet);

        Assert.Equal(sqlState, (await client.ReadErrorAsync()).SqlState);
    }

    [Fact]
    public async Task Client_that_dawdles_is_ended_by_the_handshake_timeout()
    {
        var time = new FakeTimeProvider();
        await using var gateway = await TestGateway.StartAsync(o => o with { HandshakeTimeout = TimeSpan.FromSeconds(5) }, timeProvider: time);
        await using var client = await gateway.ConnectRawAsync();
        await client.SendAsync(GssRequest);
        await client.ReadByteAsync();
        await client.SendAsync(new byte[] { 0 });

        time.Advance(TimeSpan.FromSeconds(6));

        Assert.Equal("57014", (await client.ReadErrorAsync()).SqlState);
        client.EndSending();
        Assert.Empty(await client.ReadToEndAsync());
    }

    [Fact]
    public async Task Garbage_ends_in_an_error_or_a_close_and_never_in_a_hang()
    {
        var random = new Random(20_260_101);
        await using var gateway = await TestGateway.StartAsync();
        for (var i = 0; i < 300; i++)
        {
            await using var client = await gateway.ConnectRawAsync();
            var bytes = new byte[random.Next(0, 200)];
            random.NextBytes(bytes);
            if (bytes.Length >= 8 && i % 2 == 0)
            {
                BinaryPrimitives.WriteInt32BigEndian(bytes, bytes.Length);
                BinaryPrimitives.WriteInt32BigEndian(bytes.AsSpan(4), i % 4 == 0 ? 3 << 16 : (1234 << 16) | (5678 + (i % 3)));
            }

            await client.SendAsync(bytes);
            client.EndSending();
            var answer = await client.ReadToEndAsync();
            Assert.True(answer.Length == 0 || answer[0] is (byte)'E' or (byte)'N' or (byte)'R', $"unexpected answer at {i}");
        }

        await (await gateway.OpenAsync()).DisposeAsync();
    }
}
