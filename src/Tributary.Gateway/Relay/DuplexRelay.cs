using System.Buffers;
using System.Net.Sockets;

namespace Tributary.Gateway.Relay;

/// <summary>
/// Copies bytes both ways until one side ends; looks at none of them. A client that ends is told on, and the server's last words still reach
/// it. When the server ends there is nobody left to talk to, and both copies stop.
/// </summary>
sealed class DuplexRelay(int bufferBytes, Action<int> fromClient, Action<int> toClient)
{
    /// <param name="endSending">Tells the upstream that no more comes.</param>
    public async Task<RelayResult> RunAsync(Stream client, Stream upstream, Action endSending, CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var up = CopyAsync(client, upstream, fromClient, stop.Token);
        var down = CopyAsync(upstream, client, toClient, stop.Token);
        var firstDone = await Task.WhenAny(up, down);
        if (firstDone == up && await up == CopyEnd.SourceEnded)
        {
            TryEndSending(endSending);
            await down;
            return new RelayResult(RelaySide.Client, Broken: false);
        }

        // A copy whose other side is gone would wait for bytes for ever.
        await stop.CancelAsync();
        var (upEnd, downEnd) = (await up, await down);
        if (cancellationToken.IsCancellationRequested)
            return new RelayResult(RelaySide.Gateway, Broken: false);
        return firstDone == up
            ? new RelayResult(upEnd == CopyEnd.SourceBroke ? RelaySide.Client : RelaySide.Upstream, Broken: true)
            : new RelayResult(downEnd == CopyEnd.TargetBroke ? RelaySide.Client : RelaySide.Upstream, Broken: downEnd != CopyEnd.SourceEnded);
    }

    async Task<CopyEnd> CopyAsync(Stream source, Stream target, Action<int> count, CancellationToken cancellationToken)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(bufferBytes);
        try
        {
            while (true)
            {
                int read;
                try
                {
                    read = await source.ReadAsync(buffer, cancellationToken);
                }
                catch (IOException)
                {
                    return CopyEnd.SourceBroke;
                }

                if (read == 0)
                    return CopyEnd.SourceEnded;
                try
                {
                    await target.WriteAsync(buffer.AsMemory(0, read), cancellationToken);
                }
                catch (IOException)
                {
                    return CopyEnd.TargetBroke;
                }

                count(read);
            }
        }
        catch (OperationCanceledException)
        {
            return CopyEnd.Stopped;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    static void TryEndSending(Action endSending)
    {
        try
        {
            endSending();
        }
        catch (SocketException)
        {
            // The upstream has ended as well; the other copy sees that.
        }
    }

    enum CopyEnd
    {
        SourceEnded,
        SourceBroke,
        TargetBroke,
        Stopped,
    }
}

/// <summary>Which side ended a session, and whether its link broke rather than ended.</summary>
readonly record struct RelayResult(RelaySide EndedBy, bool Broken);

enum RelaySide
{
    Client,
    Upstream,
    Gateway,
}
