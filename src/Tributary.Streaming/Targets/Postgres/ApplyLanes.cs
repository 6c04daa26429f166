using System.Threading.Channels;
using Polly;
using Polly.Retry;

namespace Tributary.Streaming.Targets.Postgres;

/// <summary>
/// Applies batches on several connections at once and commits them in the source's order.
/// Guarantee: a batch commits only after every batch before it, so a reader of the target sees states of the source and no others; the position
/// is saved in the same transaction, just before its commit.
/// Batches overlap only when no key of one is a key of the other. What the keys do not tell, such as a unique value that moves from one row to
/// another, shows as a wait for a lock or a violated constraint: the batch is undone, waits for those before it, makes those behind it undo
/// theirs, and is applied alone.
/// Threading: <see cref="ApplyAsync"/> is called once a batch and may overlap; the order is that of the batches' <see cref="BatchInFlight.Before"/>.
/// </summary>
internal sealed class ApplyLanes : IAsyncDisposable
{
    readonly List<ApplySession> _sessions;
    readonly Channel<ApplySession> _free;
    readonly List<BatchInFlight> _inFlight = [];
    readonly Lock _lock = new();
    readonly Func<TransactionBatch, CancellationToken, Task<ApplyPlanner>> _planInOrder;
    readonly ResiliencePipeline _retry;
    readonly TimeProvider _time;
    readonly long _epoch;

    /// <param name="planInOrder">Plans a batch anew in the source's order, a statement a change.</param>
    public ApplyLanes(
        List<ApplySession> sessions, long epoch, StreamOptions options, TimeProvider time,
        Func<TransactionBatch, CancellationToken, Task<ApplyPlanner>> planInOrder)
    {
        _sessions = sessions;
        _epoch = epoch;
        _time = time;
        _planInOrder = planInOrder;
        _free = Channel.CreateBounded<ApplySession>(sessions.Count);
        foreach (var session in sessions)
            _free.Writer.TryWrite(session);
        _retry = new ResiliencePipelineBuilder { TimeProvider = time }
            .AddRetry(new RetryStrategyOptions
            {
                MaxRetryAttempts = options.ApplyRetriesMax,
                BackoffType = DelayBackoffType.Exponential,
                Delay = TimeSpan.FromMilliseconds(10),
                UseJitter = true,
                ShouldHandle = new PredicateBuilder().Handle<RefusedException>(static refused => refused.IsConflict),
            })
            .Build();
    }

    public int Count => _sessions.Count;

    /// <summary>Whether what is written is marked as not born here.</summary>
    public bool HasOrigin => _sessions[0].HasOrigin;

    /// <summary>Lends one connection for something that is no batch, when none is in flight.</summary>
    public async Task<T> UseAsync<T>(Func<ApplySession, Task<T>> use, CancellationToken cancellationToken)
    {
        var session = await _free.Reader.ReadAsync(cancellationToken);
        try
        {
            return await use(session);
        }
        finally
        {
            _free.Writer.TryWrite(session);
        }
    }

    /// <summary>Takes part in what is in flight. To be called in the source's order, when the batch is planned.</summary>
    /// <returns>What the batch must wait for: the last one that touches what it touches.</returns>
    public Task Enter(BatchInFlight batch)
    {
        lock (_lock)
        {
            var last = _inFlight.FindLast(batch.Overlaps);
            // It would take locks that the one which is applied alone waits for without end.
            if (_inFlight.Exists(static other => other.IsAlone))
                _ = batch.YieldAsync();
            _inFlight.Add(batch);
            return last?.Committed ?? Task.CompletedTask;
        }
    }

    /// <summary>Applies and commits; answers how many updates and deletes found no row.</summary>
    public async Task<long> ApplyAsync(BatchInFlight batch, Task overlapping, CancellationToken cancellationToken)
    {
        ApplySession? session = null;
        var before = batch.Before;
        try
        {
            await overlapping.WaitAsync(cancellationToken);
            // In order, so that the oldest always has a lane and the others cannot wait for it in vain.
            if (before is not null)
                await before.HasLane.WaitAsync(cancellationToken);
            session = await _free.Reader.ReadAsync(cancellationToken);
            batch.SetHasLane();
            return await ApplyOnLaneAsync(batch, before?.Committed ?? Task.CompletedTask, session, cancellationToken);
        }
        finally
        {
            batch.LetGo();
            lock (_lock)
                _inFlight.Remove(batch);
            if (session is not null)
                _free.Writer.TryWrite(session);
        }
    }

    public bool AreOpen => _sessions.TrueForAll(static session => session.IsOpen);

    public async ValueTask DisposeAsync()
    {
        foreach (var session in _sessions)
            await session.DisposeAsync();
    }

    async Task<long> ApplyOnLaneAsync(BatchInFlight batch, Task before, ApplySession session, CancellationToken cancellationToken)
    {
        var runs = batch.Planner!.Complete();
        try
        {
            if (before.IsCompletedSuccessfully)
                return await session.WriteAsync(runs, batch.Batch.Position, CommitTime(batch), _epoch, cancellationToken);
            if (batch.TryBegin())
            {
                await session.BeginAsync(lockTimeout: null, cancellationToken);
                var missing = await session.ApplyAsync(runs, cancellationToken);
                await Task.WhenAny(before, batch.MustYield).WaitAsync(cancellationToken);
                if (before.IsCompleted)
                {
                    await before;
                    await session.CommitAsync(batch.Batch.Position, CommitTime(batch), _epoch, cancellationToken);
                    return missing;
                }
            }
        }
        catch (RefusedException refused) when ((refused.IsConflict || refused.IsData) && session.IsOpen)
        {
            // Something before or behind it was in the way, or it cannot be applied at all: its turn will tell.
        }

        return await ApplyAloneAsync(batch, before, session, cancellationToken);
    }

    async Task<long> ApplyAloneAsync(BatchInFlight batch, Task before, ApplySession session, CancellationToken cancellationToken)
    {
        await session.RollbackAsync(cancellationToken);
        batch.LetGo();
        await before.WaitAsync(cancellationToken);
        List<BatchInFlight> behind;
        lock (_lock)
        {
            batch.IsAlone = true;
            behind = [.. _inFlight.SkipWhile(other => other != batch).Skip(1)];
        }

        await Task.WhenAll(behind.Select(other => other.YieldAsync())).WaitAsync(cancellationToken);
        return await _retry.ExecuteAsync(async token =>
        {
            try
            {
                return await AttemptAsync(batch, batch.Planner!, session, token);
            }
            catch (RefusedException refused) when (refused.IsData && session.IsOpen)
            {
                // In the source's order, a statement a change: either the constraint holds then, or the row that cannot be written is known.
                return await AttemptAsync(batch, await _planInOrder(batch.Batch, token), session, token);
            }
        }, cancellationToken);
    }

    async Task<long> AttemptAsync(BatchInFlight batch, ApplyPlanner planner, ApplySession session, CancellationToken cancellationToken)
    {
        try
        {
            // Whoever still holds a row is no lane of ours; it is waited for as long as it takes, as every session does by default.
            await session.BeginAsync(lockTimeout: TimeSpan.Zero, cancellationToken);
            var missing = await session.ApplyAsync(planner.Complete(), cancellationToken);
            await session.CommitAsync(batch.Batch.Position, CommitTime(batch), _epoch, cancellationToken);
            return missing;
        }
        catch (RefusedException)
        {
            await session.RollbackAsync(cancellationToken);
            throw;
        }
    }

    DateTimeOffset CommitTime(BatchInFlight batch) =>
        batch.Batch.Transactions.Count > 0 ? batch.Batch.Transactions[^1].CommitTime : _time.GetUtcNow();
}
