using System.Buffers.Binary;
using Tributary.Postgres.Wire;

namespace Tributary.Postgres.Tests.Wire;

public sealed class StartupPacketTests
{
    [Fact]
    public void Startup_message_survives_the_way_there_and_back()
    {
        var packet = StartupPacket.BuildStartup([new("user", "ann"), new("database", "shop"), new("user", "bob")]);

        Assert.Equal(packet.Length, BinaryPrimitives.ReadInt32BigEndian(packet.Span));
        Assert.True(StartupPacket.TryParse(packet.Span[4..], out var parsed, out _));
        var startup = Assert.IsType<StartupMessage>(parsed);
        Assert.Equal((0, "bob", "shop", null), (startup.Minor, startup.Find("user"), startup.Find("database"), startup.Find("options")));
    }

    [Theory]
    [InlineData(4)]
    [InlineData(32)]
    [InlineData(256)]
    public void Cancel_request_survives_the_way_there_and_back(int keyBytes)
    {
        var key = new byte[keyBytes];
        new Random(keyBytes).NextBytes(key);

        Assert.True(StartupPacket.TryParse(StartupPacket.BuildCancel(77, key).Span[4..], out var parsed, out _));

        var cancel = Assert.IsType<CancelRequest>(parsed);
        Assert.Equal(77, cancel.ProcessId);
        Assert.Equal(key, cancel.Key.ToArray());
    }

    [Theory]
    [InlineData("", "08P01")]
    [InlineData("000300", "08P01")]
    [InlineData("00020000", "0A000")]
    [InlineData("00040000", "0A000")]
    [InlineData("00030000", "08P01")]
    [InlineData("000300007573657200", "08P01")]
    [InlineData("00030000757365720061006E6E", "08P01")]
    [InlineData("000300007573657200FF0000", "22021")]
    [InlineData("000300000000", "08P01")]
    [InlineData("04D2162F00", "08P01")]
    [InlineData("04D2162E00000001", "08P01")]
    public void Malformed_packet_is_a_typed_error(string hex, string sqlState)
    {
        Assert.False(StartupPacket.TryParse(Convert.FromHexString(hex), out var packet, out var error));
        Assert.Null(packet);
        Assert.Equal(("FATAL", sqlState), (error.Severity, error.SqlState));
    }

    [Fact]
    public void Random_packets_are_read_or_refused_and_never_throw()
    {
        var random = new Random(20_260_103);
        int[] codes = [3 << 16, (3 << 16) | 2, (1234 << 16) | 5678, (1234 << 16) | 5679, (1234 << 16) | 5680];
        for (var i = 0; i < 50_000; i++)
        {
            var bytes = new byte[random.Next(4, 80)];
            random.NextBytes(bytes);
            if (i % 4 != 0)
                BinaryPrimitives.WriteInt32BigEndian(bytes, codes[random.Next(codes.Length)]);
            for (var j = 4; j < bytes.Length; j++)
                if (random.Next(3) == 0)
                    bytes[j] = 0;
            Assert.Equal(StartupPacket.TryParse(bytes, out var packet, out var error), packet is not null);
            Assert.NotEqual(packet is null, error is null);
        }
    }
}
