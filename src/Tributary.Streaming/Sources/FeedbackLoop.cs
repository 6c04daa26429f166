using Tributary.Postgres.Wire;

namespace Tributary.Streaming.Sources;

/// <summary>
/// Tells the server how far the stream is, on a clock of its own: a target that takes minutes for a batch must not make the server give up the
/// connection. It also notices a server that says nothing: it asks for an answer after half of the allowed silence, and ends the link after all of it.
/// Source: https://www.postgresql.org/docs/current/protocol-replication.html#PROTOCOL-REPLICATION-STANDBY-STATUS-UPDATE
/// </summary>
internal sealed class FeedbackLoop : IAsyncDisposable
{
    static readonly DateTimeOffset PostgresEpoch = new(2000, 1, 1, 0, 0, 0, TimeSpan.Zero);

    readonly MessageChannel _channel;
    readonly ReplicationProgress _progress;
    readonly TimeSpan _silenceMax;
    readonly TimeProvider _time;
    readonly FrameWriter _writer = new();
    readonly SemaphoreSlim _due = new(1, 1); // One more than needed is never owed: each message tells all.
    readonly CancellationTokenSource _stop = new();
    readonly CancellationTokenSource _lost = new();
    readonly ITimer _timer;
    readonly Task _running;
    volatile bool _asks;

    /// <param name="silenceMax">How long the server may say nothing while it is being waited for.</param>
    public FeedbackLoop(MessageChannel channel, ReplicationProgress progress, TimeSpan interval, TimeSpan silenceMax, TimeProvider time)
    {
        _channel = channel;
        _progress = progress;
        _silenceMax = silenceMax;
        _time = time;
        _timer = time.CreateTimer(_ => Hurry(), null, interval, interval);
        _running = RunAsync();
    }

    /// <summary>Cancelled when the link is found lost; <see cref="Failure"/> then says why.</summary>
    public CancellationToken Lost => _lost.Token;

    public Exception? Failure { get; private set; }

    /// <summary>Sends the next message now, since the server has asked for one.</summary>
    public void Hurry()
    {
        try
        {
            _due.Release();
        }
        catch (SemaphoreFullException)
        {
            // One is due already, and it will tell the newest positions.
        }
    }

    /// <summary>
    /// Sends the next message now and asks for the server's position. Of itself a server tells it rarely to a reader that has taken everything
    /// (WalSndWaitForWal in src/backend/replication/walsender.c).
    /// </summary>
    public void Ask()
    {
        _asks = true;
        Hurry();
    }

    /// <summary>Stops the clock and tells the last positions if the link still takes them.</summary>
    public async ValueTask DisposeAsync()
    {
        await _timer.DisposeAsync();
        await _stop.CancelAsync();
        await _running;
        _stop.Dispose();
        _lost.Dispose();
        _due.Dispose();
    }

    /// <summary>One message with the newest positions.</summary>
    public ReadOnlyMemory<byte> Message(bool askForAnswer)
    {
        var flushed = (long)_progress.Flushed.Value;
        return _writer.Clear().Begin((byte)'d')
            .AddByte((byte)'r')
            .AddInt64(Math.Max((long)_progress.Received.Value, flushed))
            .AddInt64(flushed)
            .AddInt64(flushed)
            .AddInt64((_time.GetUtcNow() - PostgresEpoch).Ticks / TimeSpan.TicksPerMicrosecond)
            .AddByte(askForAnswer ? (byte)1 : (byte)0)
            .End().Written;
    }

    async Task RunAsync()
    {
        try
        {
            while (true)
            {
                await _due.WaitAsync(_stop.Token);
                var silence = _progress.Silence;
                if (silence > _silenceMax)
                    throw new TimeoutException($"The source has not answered for {silence.TotalSeconds:0} s.");
                var asks = _asks;
                _asks = false;
                await _channel.WriteAsync(Message(askForAnswer: asks || silence > _silenceMax / 2), _stop.Token);
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // The session ends.
        }
        catch (Exception exception) when (LostLink.Is(exception))
        {
            Failure = exception;
            await _lost.CancelAsync();
        }
    }
}
