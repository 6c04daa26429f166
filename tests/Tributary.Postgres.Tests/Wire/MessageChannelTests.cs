using System.Net;
using System.Net.Sockets;
using Tributary.Postgres.Wire;

namespace Tributary.Postgres.Tests.Wire;

public sealed class MessageChannelTests
{
    static readonly byte[] Message = new FrameWriter().Begin((byte)'d').AddText("row").End().Written.ToArray();

    static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_arrives_while_gathering_is_there_and_the_next_wait_hears_of_the_first_byte()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var client = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await client.ConnectAsync(listener.LocalEndpoint, Cancelled);
        using var server = await listener.AcceptSocketAsync(Cancelled);
        server.NoDelay = true;
        await using var channel = new MessageChannel(new NetworkStream(client), client, messageBytesMax: 1000);

        for (var round = 0; round < 3; round++)
        {
            channel.Gather();
            await server.SendAsync(Message, Cancelled);
            await server.SendAsync(Message, Cancelled);
            while (client.Available < 2 * Message.Length)
                await Task.Delay(TimeSpan.FromMilliseconds(1), TimeProvider.System, Cancelled);
            Assert.Equal(2 * Message.Length, await channel.ReceiveAsync(Cancelled));
            Assert.Equal(2, Take(channel));

            // Nothing is left: a wait that still gathered would last until half a megabyte has come.
            channel.Gather();
            var waiting = channel.ReceiveAsync(Cancelled).AsTask();
            Assert.False(waiting.IsCompleted);
            await server.SendAsync(Message.AsMemory(0, 1), Cancelled);
            Assert.Equal(1, await waiting.WaitAsync(TimeSpan.FromSeconds(20), TimeProvider.System, Cancelled));
            await server.SendAsync(Message.AsMemory(1), Cancelled);
            await channel.ReceiveAsync(Cancelled);
            Assert.Equal(1, Take(channel));
        }
    }

    static int Take(MessageChannel channel)
    {
        var count = 0;
        while (channel.TryTake(out _, out _))
            count++;
        return count;
    }
}
