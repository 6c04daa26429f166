using System.Net.Sockets;
using Tributary.Postgres.Wire;

namespace Tributary.Gateway.Tests.Support;

/// <summary>A client that speaks the protocol byte by byte, also wrongly. Every wait ends after ten seconds.</summary>
sealed class RawClient(Socket socket) : IAsyncDisposable
{
    static readonly TimeSpan Deadline = TimeSpan.FromSeconds(10);

    public Stream Stream { get; set; } = new NetworkStream(socket, ownsSocket: true);

    public async Task SendAsync(ReadOnlyMemory<byte> bytes)
    {
        using var deadline = new CancellationTokenSource(Deadline);
        await Stream.WriteAsync(bytes, deadline.Token);
    }

    public Task SendStartupAsync(int version, params (string Name, string Value)[] parameters)
    {
        var writer = new FrameWriter().BeginUntyped().AddInt32(version);
        foreach (var (name, value) in parameters)
            writer.AddText(name).AddText(value);
        return SendAsync(writer.AddByte(0).End().Written);
    }

    public async Task<byte> ReadByteAsync()
    {
        using var deadline = new CancellationTokenSource(Deadline);
        var one = new byte[1];
        await Stream.ReadExactlyAsync(one, deadline.Token);
        return one[0];
    }

    public async Task<Frame> ReadFrameAsync()
    {
        using var deadline = new CancellationTokenSource(Deadline);
        return await Frame.ReadAsync(Stream, 1 << 20, deadline.Token) ?? throw new InvalidDataException("a frame of an impossible length");
    }

    public async Task<ErrorResponse> ReadErrorAsync()
    {
        var frame = await ReadFrameAsync();
        Assert.Equal(ErrorResponse.Type, frame.Type);
        return ErrorResponse.TryParse(frame.Body.Span)!;
    }

    /// <summary>Everything up to the end of the connection; a reset counts as an end.</summary>
    public async Task<byte[]> ReadToEndAsync()
    {
        using var deadline = new CancellationTokenSource(Deadline);
        using var all = new MemoryStream();
        try
        {
            await Stream.CopyToAsync(all, deadline.Token);
        }
        catch (IOException)
        {
        }

        return all.ToArray();
    }

    public void EndSending() => socket.Shutdown(SocketShutdown.Send);

    public async ValueTask DisposeAsync() => await Stream.DisposeAsync();
}
