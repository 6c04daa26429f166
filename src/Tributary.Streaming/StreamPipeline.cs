using Microsoft.Extensions.Logging;
using Polly;
using Polly.Retry;
using Tributary.Postgres;
using Tributary.Streaming.Checkpoints;

namespace Tributary.Streaming;

/// <summary>
/// Carries one database into one target: the rows that exist, then each change, exactly once.
/// <code>
/// ISource ─▶ bounded queue ─▶ batches ─▶ ITarget ─▶ AckTracker ─▶ ISource.ConfirmFlushed
/// </code>
/// A session, repeated after each lost link:
/// 1. Open the target: shut out other instances, read the checkpoint.
/// 2. Open the source and learn who it is.
/// 3. Without a finished copy: copy the existing rows; otherwise make sure that the slot continues at the checkpoint.
/// 4. Read transactions into the queue, as far as its budget goes.
/// 5. Write what has arrived, batch by batch, each with its position in one transaction of the target. A large transaction is written ahead of its commit
///    where the target can (EagerLane), and otherwise piece by piece from the spool.
/// 6. Confirm to the source what has become durable.
/// 7. Beat, so that an idle source's slot moves on.
/// </summary>
public sealed class StreamPipeline
{
    // A quarter of a full batch is worth a transaction of its own while others are on their way; less would only make many small ones.
    const int OverlapShare = 4;

    readonly StreamOptions _options;
    readonly Func<ISource> _newSource;
    readonly Func<ITarget> _newTarget;
    readonly IInitialCopy _copy;
    readonly TimeProvider _time;
    readonly ILogger _logger;
    readonly StatusBoard _board;
    readonly FollowedTables? _followed;
    StreamFigures? _figures;
    int _failuresInRow;

    internal StreamPipeline(
        StreamOptions options, Func<ISource> newSource, Func<ITarget> newTarget, IInitialCopy copy, TimeProvider time, ILogger logger,
        FollowedTables? followed = null)
    {
        _options = options;
        _newSource = newSource;
        _newTarget = newTarget;
        _copy = copy;
        _time = time;
        _logger = logger;
        _followed = followed;
        _board = new StatusBoard(options.Name, new LagWindow(options.LagWindow, options.LagSpan), time);
    }

    /// <summary>The stream as it is now; safe from any thread, cheap enough to ask ten times a second.</summary>
    public StreamStatus Status => _board.Snapshot();

    /// <summary>Runs until cancelled, which ends it without an exception; reconnects after lost links. To be called once.</summary>
    /// <exception cref="StreamException">The stream cannot go on; <see cref="Status"/> says the same.</exception>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var retry = new ResiliencePipelineBuilder { TimeProvider = _time }
            .AddRetry(new RetryStrategyOptions
            {
                MaxRetryAttempts = int.MaxValue, // A source or target may be down for hours; the slot keeps what is missed.
                ShouldHandle = new PredicateBuilder().Handle<Exception>(exception => LostLink.Is(exception) && !cancellationToken.IsCancellationRequested),
                DelayGenerator = _ => ValueTask.FromResult<TimeSpan?>(ReconnectDelay()),
                OnRetry = arguments =>
                {
                    var reason = LostLink.Describe(arguments.Outcome.Exception!);
                    _board.Failed(reason, willReconnect: true);
                    StreamTraces.Reconnect(_options.Name, reason);
                    Log.Reconnecting(_logger, _options.Name, arguments.RetryDelay, reason);
                    return default;
                },
            })
            .Build();
        _figures = StreamMetrics.Show(_options.Name, _options.Stdout is null ? "postgres" : "stdout", () => Status);
        try
        {
            await retry.ExecuteAsync(async token => await RunSessionAsync(token), cancellationToken);
            _figures.Dispose();
        }
        catch (Exception) when (cancellationToken.IsCancellationRequested)
        {
            // Cancelled in the middle of something: the target's transaction is undone, and the next start resumes at the checkpoint.
            _board.Enter(StreamPhase.Stopped);
            _figures.Dispose();
        }
        catch (Exception exception)
        {
            var failure = exception as StreamException ?? LostLink.Unexpected(_options, exception);
            _board.Failed(failure.Message, willReconnect: false);
            Log.Stopped(_logger, _options.Name, failure.Kind, failure.Message, exception);
            throw failure;
        }
    }

    async Task RunSessionAsync(CancellationToken cancellationToken)
    {
        _board.Enter(StreamPhase.Starting);

        // Step 1: the target first, since it says where the stream stands and keeps a second instance out.
        await using var target = _newTarget();
        var checkpoint = await target.OpenAsync(cancellationToken);

        // Step 2.
        await using var source = _newSource();
        var identity = await source.OpenAsync(cancellationToken);

        // Step 3: an unfinished copy is begun anew, so the target never shows half of one as whole.
        if (checkpoint is not { State: CheckpointState.Streaming })
        {
            if (checkpoint is null)
                await _copy.RefuseOthersAsync(cancellationToken);
            var copying = await target.BeginCopyAsync(identity, cancellationToken);
            Lsn position;
            using (StreamTraces.Copy(_options.Name))
                position = await _copy.RunAsync(copying, _board, cancellationToken);
            checkpoint = await target.CompleteCopyAsync(position, cancellationToken);
            Log.Copied(_logger, _options.Name, position);
        }

        await source.VerifyAsync(checkpoint, cancellationToken);
        if (identity.Timeline != 0 && identity.Timeline != checkpoint.Timeline)
            checkpoint = await target.SaveTimelineAsync(checkpoint, identity.Timeline, cancellationToken);
        _board.Confirmed(checkpoint.Position);
        _board.Enter(StreamPhase.Streaming);
        _failuresInRow = 0;
        Log.Streaming(_logger, _options.Name, checkpoint.Position);
        _board.FollowsDescriptions(_followed is { IsOn: true });
        if (_followed is { IsOn: true } followed)
            Log.FollowsDescriptions(_logger, _options.Name, await followed.WhyAsync(cancellationToken));
        try
        {
            await StreamAsync(source, target, checkpoint.Position, cancellationToken);
        }
        catch (InvalidOperationException exception) when (!source.IsLinked || !target.IsLinked)
        {
            throw new IOException($"The link to the {(target.IsLinked ? "source" : "target")} was lost while nothing was sent over it.", exception);
        }
    }

    async Task StreamAsync(ISource source, ITarget target, Lsn position, CancellationToken cancellationToken)
    {
        using var session = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var tracker = new AckTracker(position, lsn =>
        {
            // Step 6: the only place that confirms.
            source.ConfirmFlushed(lsn);
            _board.Confirmed(lsn);
        });
        var queue = new TransactionQueue(_options);
        using var eager = new EagerLane(_options, target as IEagerTarget, tracker, _time, _logger);
        _board.InFlight(() =>
        {
            var (transactions, bytes) = queue.Usage;
            return new InFlightStatus(transactions, bytes, source.SpoolBytes);
        });
        Task[] loops =
        [
            ReadLoopAsync(source, queue, tracker, eager, position, session.Token),
            WriteLoopAsync(target, queue, tracker, eager, session.Token),
            eager.RunAsync(session.Token),
            BeatLoopAsync(source, queue, tracker, session.Token),
        ];
        var first = await Task.WhenAny(loops);
        await session.CancelAsync();
        try
        {
            await Task.WhenAll(loops);
        }
        catch (Exception) when (first.IsFaulted)
        {
            // The others end because the first has failed; its reason is the one to tell.
        }
        finally
        {
            _board.InFlight(null);
            queue.Dispose();
        }

        await first;
    }

    static async Task ReadLoopAsync(
        ISource source, TransactionQueue queue, AckTracker tracker, EagerLane eager, Lsn position, CancellationToken cancellationToken)
    {
        // Step 4.
        await foreach (var item in source.ReadAsync(position, cancellationToken))
        {
            switch (item.Kind)
            {
                case SourceEventKind.Entered:
                    tracker.Enter(item.Xid);
                    if (item.Open is { } open)
                        eager.Offer(open);
                    break;
                case SourceEventKind.Left:
                    tracker.Leave(item.Xid);
                    break;
                case SourceEventKind.Committed:
                    tracker.Receive(item.Xid, item.Lsn);
                    await queue.WriteAsync(new QueueItem(item.Lsn, item.Transaction), cancellationToken);
                    break;
                case SourceEventKind.Reached:
                    await queue.WriteAsync(new QueueItem(item.Lsn, null), cancellationToken);
                    break;
            }
        }

        cancellationToken.ThrowIfCancellationRequested();
        throw new EndOfStreamException("The source ended the stream.");
    }

    async Task WriteLoopAsync(ITarget target, TransactionQueue queue, AckTracker tracker, EagerLane eager, CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var writes = new Queue<PendingWrite>();
        var endsLarge = false;
        try
        {
            while (true)
            {
                // Step 5: a batch is what has arrived while the previous one was written, so an idle stream adds no waiting and a busy one large
                // batches. The next one is begun meanwhile only if it is large already.
                if (writes.TryPeek(out var oldest))
                {
                    if (!endsLarge && writes.Count < target.BatchesInFlightMax)
                        await Task.WhenAny(oldest.Outcome, queue.RowsAsync(_options.BatchRowsMax / OverlapShare));
                    else
                        await Task.WhenAny(oldest.Outcome);
                    if (oldest.Outcome.IsCompleted)
                    {
                        Settle(oldest, await oldest.Outcome, tracker);
                        queue.Release(writes.Dequeue().Batch.Transactions);
                        continue;
                    }
                }

                // One that is on disk takes long, and one that changes the schema changes what others are written into; each is written alone: after all before it, and with none beside it.
                var transactions = new List<Transaction>();
                var reached = await queue.TakeBatchAsync(transactions, cancellationToken);
                var batch = new TransactionBatch(transactions, reached);
                endsLarge = transactions is [{ IsAlone: true }];
                if (endsLarge)
                    writes.Enqueue(new PendingWrite(batch, WriteLargeAsync(target, eager, [.. writes], batch, stop.Token)));
                else if (transactions.Count > 0 || reached > tracker.Confirmed)
                    writes.Enqueue(new PendingWrite(batch, WriteAsync(target, batch, stop.Token)));
            }
        }
        finally
        {
            // The memory of rows goes back only when nobody reads it any more.
            await stop.CancelAsync();
            foreach (var write in writes)
            {
                await Task.WhenAny(write.Outcome);
                queue.Release(write.Batch.Transactions);
            }
        }
    }

    async Task<WriteOutcome> WriteAsync(ITarget target, TransactionBatch batch, CancellationToken cancellationToken)
    {
        using var span = StreamTraces.Write(_options.Name, batch);
        return await target.WriteAsync(batch, cancellationToken);
    }

    async Task<WriteOutcome> WriteLargeAsync(
        ITarget target, EagerLane eager, PendingWrite[] before, TransactionBatch batch, CancellationToken cancellationToken)
    {
        await Task.WhenAll(before.Select(static write => write.Outcome));
        using var span = StreamTraces.Write(_options.Name, batch);
        return await eager.TryCommitAsync(batch, cancellationToken) ?? await target.WriteAsync(batch, cancellationToken);
    }

    void Settle(PendingWrite write, WriteOutcome outcome, AckTracker tracker)
    {
        _board.Written(write.Batch, outcome);
        RecordLag(write.Batch);
        if (outcome.MissingRows > 0)
            Log.MissingRows(_logger, _options.Name, outcome.MissingRows, write.Batch.Position);
        foreach (var report in outcome.Reports ?? [])
            Log.SchemaReported(_logger, _options.Name, report.Tag, report.Subject, report.Why, report.Position);
        tracker.Durable(write.Batch.Position);
    }

    void RecordLag(TransactionBatch batch)
    {
        var now = _time.GetUtcNow();
        foreach (var transaction in batch.Transactions)
            StreamMetrics.RecordLag(_figures!, now > transaction.CommitTime ? now - transaction.CommitTime : TimeSpan.Zero);
    }

    async Task BeatLoopAsync(ISource source, TransactionQueue queue, AckTracker tracker, CancellationToken cancellationToken)
    {
        // Step 7: the message comes back in order, and what is before it has then arrived. Without the right to write one, a keep-alive's position
        // serves while nothing is in flight.
        using var timer = new PeriodicTimer(_options.HeartbeatInterval, _time);
        do
        {
            var written = await source.BeatAsync(cancellationToken);
            var heard = source.LastReceivedLsn;
            _board.SourceAt(Lsn.Max(heard, written ?? Lsn.Zero));
            if (written is null && tracker.IsIdle() && heard > tracker.Confirmed)
                await queue.WriteAsync(new QueueItem(heard, null), cancellationToken);
        }
        while (await timer.WaitForNextTickAsync(cancellationToken));
    }

    TimeSpan ReconnectDelay()
    {
        var milliseconds = Math.Min(100 * Math.Pow(2, Math.Min(_failuresInRow++, 20)), _options.ReconnectDelayMax.TotalMilliseconds);
        return TimeSpan.FromMilliseconds(milliseconds);
    }

    readonly record struct PendingWrite(TransactionBatch Batch, Task<WriteOutcome> Outcome);
}
