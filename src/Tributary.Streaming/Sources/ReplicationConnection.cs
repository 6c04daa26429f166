using System.Buffers.Binary;
using System.Globalization;
using System.Net.Sockets;
using Tributary.Postgres;
using Tributary.Postgres.Wire;

namespace Tributary.Streaming.Sources;

/// <summary>
/// Speaks the streaming replication protocol with a WAL sender.
/// 1. Open a session for replication, and learn the server's wal_sender_timeout.
/// 2. START_REPLICATION turns it into two streams, one each way.
/// 3. Read: what has arrived is taken out of the buffer message by message without waiting, copying or allocating; only an empty buffer waits.
/// 4. Feedback flows the other way meanwhile, whether or not anyone reads.
/// 5. End: the last positions, CopyDone, and the server's own end, so that the slot is free when the session is gone.
/// Threading: one reader; <see cref="ConfirmFlushed"/> and <see cref="LastReceivedLsn"/> from any thread.
/// Source: https://www.postgresql.org/docs/current/protocol-replication.html
/// </summary>
internal sealed class ReplicationConnection : IAsyncDisposable
{
    // Type, start, end and clock of an XLogData; type, end, clock and the wish for an answer of a keep-alive.
    const int XLogHeaderBytes = 1 + 3 * sizeof(long);
    const int KeepAliveBytes = 1 + 2 * sizeof(long) + 1;

    // How long the server may take to end its side; it answers CopyDone at once unless it is in the middle of a large transaction.
    static readonly TimeSpan GoodbyeMax = TimeSpan.FromSeconds(1);

    // Without a timeout of the server's own to go by: Postgres's default for it.
    static readonly TimeSpan DefaultSenderTimeout = TimeSpan.FromSeconds(60);

    readonly ServerSession _session;
    readonly TimeSpan _senderTimeout;
    readonly TimeSpan _feedbackInterval;
    readonly TimeProvider _time;
    readonly ReplicationProgress _progress;
    readonly ReceivePacing _pacing;
    FeedbackLoop? _feedback;
    CancellationTokenSource? _reading;

    ReplicationConnection(ServerSession session, TimeSpan senderTimeout, TimeSpan feedbackInterval, TimeProvider time)
    {
        _session = session;
        _senderTimeout = senderTimeout;
        _feedbackInterval = feedbackInterval;
        _time = time;
        _progress = new ReplicationProgress(time);
        _pacing = new ReceivePacing(time);
    }

    public int ServerMajor => _session.ServerMajor;

    /// <summary>The newest position heard of in what was read, keep-alives included.</summary>
    public Lsn LastReceivedLsn => _progress.Received;

    /// <exception cref="StreamException">Kind Configuration: the session cannot be opened as the URL asks.</exception>
    public static async Task<ReplicationConnection> OpenAsync(StreamOptions options, TimeProvider time, CancellationToken cancellationToken)
    {
        // Step 1.
        var session = await SessionSettings.OpenReplicationAsync(options.Source, $"tributary {options.Name}", time, cancellationToken);
        try
        {
            var rows = await session.QueryAsync("SELECT setting FROM pg_catalog.pg_settings WHERE name = 'wal_sender_timeout'", cancellationToken);
            var timeout = rows is [[{ } text]] && long.Parse(text, CultureInfo.InvariantCulture) is var milliseconds and > 0
                ? TimeSpan.FromMilliseconds(milliseconds)
                : DefaultSenderTimeout; // Zero switches it off.
            return new ReplicationConnection(session, timeout, options.FeedbackInterval, time);
        }
        catch
        {
            await session.DisposeAsync();
            throw;
        }
    }

    public async Task<SourceIdentity> IdentifySystemAsync(CancellationToken cancellationToken) =>
        await _session.QueryAsync("IDENTIFY_SYSTEM", cancellationToken) is [[{ } system, { } timeline, ..]]
            ? new SourceIdentity(system, uint.Parse(timeline, CultureInfo.InvariantCulture))
            : throw new IOException("The source did not say who it is.");

    /// <summary>Runs any other command before the stream starts; the rows' values are text.</summary>
    public Task<IReadOnlyList<string?[]>> QueryAsync(string sql, CancellationToken cancellationToken) => _session.QueryAsync(sql, cancellationToken);

    /// <summary>Begins to stream. Feedback starts with it, at most a quarter of wal_sender_timeout apart.</summary>
    /// <param name="cancellationToken">Also ends each <see cref="ReceiveAsync"/>, so that a wait costs no registration of its own.</param>
    /// <exception cref="ServerErrorException">The slot is missing, in use or invalid, or an option is unknown.</exception>
    public async Task StartAsync(string startReplication, CancellationToken cancellationToken)
    {
        // Step 2.
        await _session.Channel.WriteAsync(new FrameWriter().Begin((byte)'Q').AddText(startReplication).End().Written, cancellationToken);
        while (true)
        {
            var frame = await _session.Channel.ReadAsync(cancellationToken);
            if (frame.Type == ErrorResponse.Type)
                throw ServerSession.ErrorOf(frame.Body.Span);
            if (frame.Type == (byte)'W')
                break;
        }

        // Step 4 begins. Twice the server's own timeout: a sender in the middle of a large transaction answers within one.
        var interval = TimeSpan.FromTicks(Math.Min(_feedbackInterval.Ticks, _senderTimeout.Ticks / 4));
        _feedback = new FeedbackLoop(_session.Channel, _progress, interval, 2 * _senderTimeout, _time);
        _reading = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _feedback.Lost);
    }

    /// <summary>Takes the next message of the output plugin if it has arrived whole. It is valid until the next <see cref="ReceiveAsync"/>.</summary>
    /// <exception cref="ServerErrorException">The server ended the stream with an error.</exception>
    /// <exception cref="EndOfStreamException">The server ended the stream, since it shuts down.</exception>
    public bool TryRead(out ReadOnlySpan<byte> payload)
    {
        // Step 3.
        while (_session.Channel.TryTake(out var type, out var body))
        {
            if (type == (byte)'d' && body.Length >= XLogHeaderBytes && body[0] == (byte)'w')
            {
                _progress.Receive(new Lsn(Math.Max(BinaryPrimitives.ReadUInt64BigEndian(body[1..]), BinaryPrimitives.ReadUInt64BigEndian(body[9..]))));
                payload = body[XLogHeaderBytes..];
                return true;
            }

            TakeOther(type, body);
        }

        payload = default;
        return false;
    }

    /// <summary>Waits for more from the server; to be called when <see cref="TryRead"/> has answered false.</summary>
    /// <exception cref="OperationCanceledException">The token given to <see cref="StartAsync"/> is cancelled.</exception>
    public async ValueTask ReceiveAsync()
    {
        _progress.BeginWait();
        try
        {
            if (_pacing.IsBurst)
            {
                _session.Channel.Gather();
                await Task.Delay(ReceivePacing.Pause, _time, _reading!.Token);
            }

            var received = await _session.Channel.ReceiveAsync(_reading!.Token);
            _pacing.Received(received, isFull: received > MessageChannel.BufferBytes / 2);
        }
        catch (OperationCanceledException) when (_feedback!.Failure is { } failure)
        {
            throw new IOException("The link to the source is lost.", failure);
        }
        finally
        {
            _progress.EndWait();
        }
    }

    /// <summary>What the server may forget; never moves back. It goes out with the next feedback.</summary>
    public void ConfirmFlushed(Lsn lsn) => _progress.Flush(lsn);

    /// <summary>Asks the server how far it is; the answer shows in <see cref="LastReceivedLsn"/>.</summary>
    public void AskForPosition() => _feedback?.Ask();

    public async ValueTask DisposeAsync()
    {
        if (_feedback is { } feedback)
        {
            _feedback = null;
            await feedback.DisposeAsync();
            await SayGoodbyeAsync(feedback);
        }

        _reading?.Dispose();
        await _session.DisposeAsync();
    }

    void TakeOther(byte type, ReadOnlySpan<byte> body)
    {
        switch (type)
        {
            case (byte)'d' when body.Length >= KeepAliveBytes && body[0] == (byte)'k':
                _progress.Receive(new Lsn(BinaryPrimitives.ReadUInt64BigEndian(body[1..])));
                if (body[KeepAliveBytes - 1] == 1)
                    _feedback!.Hurry();
                break;
            case ErrorResponse.Type:
                throw ServerSession.ErrorOf(body);
            case (byte)'c' or (byte)'C':
                throw new EndOfStreamException("The source ended the stream; it shuts down.");
            case (byte)'N' or (byte)'S':
                break;
            default:
                throw new IOException($"The source sent a message of kind 0x{type:X2} ({body.Length} bytes) in a stream.");
        }
    }

    async Task SayGoodbyeAsync(FeedbackLoop feedback)
    {
        // Step 5. What still flows in is thrown away: closing a socket with unread bytes would reset it, and the server might lose the last positions.
        using var late = new CancellationTokenSource(GoodbyeMax, _time);
        try
        {
            var channel = _session.Channel;
            await channel.WriteAsync(feedback.Message(askForAnswer: false), late.Token);
            await channel.WriteAsync(new FrameWriter().Begin((byte)'c').End().Begin((byte)'X').End().Written, late.Token);
            while (true)
            {
                while (channel.TryTake(out _, out _))
                {
                }

                await channel.ReceiveAsync(late.Token);
            }
        }
        catch (Exception exception) when (exception is IOException or SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // The server has ended its side, or the link is gone, or it takes too long: the socket is closed all the same.
        }
    }
}
