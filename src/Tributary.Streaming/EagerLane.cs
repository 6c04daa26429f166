using Microsoft.Extensions.Logging;
using Npgsql;
using Tributary.Streaming.Checkpoints;

namespace Tributary.Streaming;

/// <summary>
/// Writes one open transaction ahead of its commit, in a session of its own beside the ordinary writes.
/// Guarantee: a part is written only after everything is durable that was committed before it came, and the whole is committed only in its turn. The spool
/// holds everything too, so whatever goes wrong here, a lock, an error or a shape that differs, ends in the transaction being written from the spool in its turn.
/// Threading: <see cref="Offer"/> and <see cref="TryCommitAsync"/> may be called from any thread; <see cref="RunAsync"/> is one loop.
/// </summary>
internal sealed class EagerLane(StreamOptions options, IEagerTarget? target, AckTracker tracker, TimeProvider time, ILogger logger) : IDisposable
{
    // What waits for the lane beyond it is spooled only.
    const int WaitingMax = 64;

    readonly Lock _lock = new();
    readonly SemaphoreSlim _offered = new(0);
    readonly LinkedList<Job> _waiting = [];
    Job? _current;

    /// <summary>A transaction begins to arrive before its commit. One is written at a time, the oldest that waits.</summary>
    public void Offer(IOpenTransaction open)
    {
        if (target is null || !options.WritesOpenTransactions)
            return;
        lock (_lock)
        {
            if (_waiting.Count == WaitingMax)
                return;
            _waiting.AddLast(new Job(open));
        }

        _offered.Release();
    }

    /// <summary>
    /// Commits what has been written of the transaction, once the rest is; null when it was not written ahead. To be called in the transaction's turn,
    /// when all before it is durable.
    /// </summary>
    public async Task<WriteOutcome?> TryCommitAsync(TransactionBatch batch, CancellationToken cancellationToken)
    {
        if (batch.Transactions is not [{ IsSpooled: true } transaction] || Claim(transaction.Xid) is not { } job)
            return null;
        job.Claimed.TrySetResult();
        try
        {
            // A description that came again may have turned out to be a change of the schema.
            if (transaction.HasSchemaChanges || await job.Written.Task.WaitAsync(cancellationToken) is not { } written)
                return null;
            return await written.CommitAsync(batch, cancellationToken);
        }
        catch (Exception exception) when (exception is PostgresException or InvalidOperationException && !LostLink.Is(exception))
        {
            // The target has refused and undone it. After a lost link nobody knows: then the checkpoint tells at the next start.
            cancellationToken.ThrowIfCancellationRequested();
            Log.NotAhead(logger, options.Name, transaction.Xid, LostLink.Describe(exception));
            return null;
        }
        finally
        {
            job.Settled.TrySetResult();
            await job.Ended.WaitAsync(cancellationToken);
        }
    }

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            await _offered.WaitAsync(cancellationToken);
            if (Next() is not { } job)
                continue;
            try
            {
                await WriteAsync(job, cancellationToken);
            }
            finally
            {
                lock (_lock)
                    _current = null;
                job.End();
            }
        }
    }

    /// <summary>To be called when its loop has ended and nobody offers any more.</summary>
    public void Dispose() => _offered.Dispose();

    Job? Next()
    {
        lock (_lock)
        {
            if (_waiting.First is not { } first)
                return null;
            _waiting.RemoveFirst();
            return _current = first.Value;
        }
    }

    // A transaction whose turn has come while it waited for the lane is written without it.
    Job? Claim(uint xid)
    {
        lock (_lock)
        {
            if (_current?.Open.Xid == xid)
                return _current;
            for (var waiting = _waiting.First; waiting is not null; waiting = waiting.Next)
            {
                if (waiting.Value.Open.Xid != xid)
                    continue;
                _waiting.Remove(waiting);
                break;
            }

            return null;
        }
    }

    async Task WriteAsync(Job job, CancellationToken cancellationToken)
    {
        IEagerTransaction? written = null;
        using var givenUp = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using var watched = CancellationTokenSource.CreateLinkedTokenSource(givenUp.Token);
        var watch = Task.CompletedTask;
        try
        {
            await foreach (var part in job.Open.FollowAsync(givenUp.Token))
            {
                await tracker.WaitAsync(part.After, givenUp.Token);
                if (written is null)
                {
                    written = await target!.BeginAsync(job.Open.Xid, givenUp.Token);
                    if (written is null)
                        return;
                    watch = WatchAsync(written, givenUp, watched.Token);
                }

                if (!await written.WriteAsync(part, givenUp.Token))
                {
                    Log.NotAhead(logger, options.Name, job.Open.Xid, "it has more subtransactions than are worth it");
                    return;
                }
            }

            if (!job.Open.IsComplete || written is null)
                return;
            // Until its turn it may yet be in the way of those before it. Once it is committing, nothing may interrupt it.
            await job.Claimed.Task.WaitAsync(givenUp.Token);
            await watched.CancelAsync();
            await watch;
            givenUp.Token.ThrowIfCancellationRequested();
            job.Written.TrySetResult(written);
            await job.Settled.Task;
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
        {
            Log.NotAhead(
                logger, options.Name, job.Open.Xid,
                givenUp.IsCancellationRequested ? "the ordinary writes wait for it" : exception is StreamException ? exception.Message : LostLink.Describe(exception));
        }
        finally
        {
            await watched.CancelAsync();
            await watch;
            if (written is not null)
                await written.DisposeAsync();
        }
    }

    // The source's own locks keep its transactions from waiting for each other here, unless the target has constraints or a load of its own.
    async Task WatchAsync(IEagerTransaction written, CancellationTokenSource givenUp, CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(options.OpenTransactionWatchInterval, time);
        try
        {
            while (await timer.WaitForNextTickAsync(cancellationToken))
            {
                if (await written.IsInTheWayAsync(cancellationToken))
                {
                    await givenUp.CancelAsync();
                    return;
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The transaction has ended.
        }
        catch (Exception exception) when (LostLink.Is(exception))
        {
            // Without the watch nobody would notice; what was written is in the spool.
            await givenUp.CancelAsync();
        }
    }

    sealed class Job(IOpenTransaction open)
    {
        readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public IOpenTransaction Open { get; } = open;

        /// <summary>Its turn has come.</summary>
        public TaskCompletionSource Claimed { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        /// <summary>All of it is written, and whoever claimed it commits it; null when it was given up.</summary>
        public TaskCompletionSource<IEagerTransaction?> Written { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        /// <summary>Its turn is over, whatever came of it.</summary>
        public TaskCompletionSource Settled { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Ended => _ended.Task;

        public void End()
        {
            Written.TrySetResult(null);
            _ended.TrySetResult();
        }
    }
}
