using Microsoft.Extensions.Logging;

namespace Tributary.Branching.Seeding;

/// <summary>
/// Keeps spares ready: makes one whenever fewer than <see cref="BranchingOptions.SparesWanted"/> are there, replaces one that has ended, and renews
/// one that has replayed much more than another one would: each page that it has changed is its own, and in time that would be all of them.
/// Taking one is immediate when one is ready, else it waits for the one that is being made.
/// </summary>
/// <param name="nextNumber">Gives out the number of a branch; none is given twice.</param>
internal sealed class SpareKeeper(
    BranchingOptions options, SpareMaker maker, Func<long> nextNumber, TimeProvider time, ILogger logger) : IAsyncDisposable
{
    static readonly TimeSpan CheckInterval = TimeSpan.FromSeconds(1);

    /// <summary>
    /// A taken spare is promoted and entered for the first time within this; making the next one takes every core, and would be felt. Who waits
    /// for a spare is not let wait for this too.
    /// </summary>
    static readonly TimeSpan ReplacePause = TimeSpan.FromMilliseconds(500);

    /// <summary>A production that writes very much has checkpoints within seconds, and making a spare takes every core for as long.</summary>
    static readonly TimeSpan RenewPause = TimeSpan.FromMinutes(1);

    static readonly TimeSpan RetryPauseMax = TimeSpan.FromSeconds(30);

    readonly Lock _lock = new();
    readonly Queue<Spare> _ready = [];
    readonly System.Collections.Concurrent.ConcurrentQueue<Spare> _dead = [];
    readonly SemaphoreSlim _wanted = new(0);
    TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    string? _lastError;
    long _takenAt;
    long _renewedAt;
    int _waiting;
    bool _ended;

    public int Ready
    {
        get
        {
            lock (_lock)
                return _ready.Count;
        }
    }

    /// <summary>Why the newest try to make one failed; null when it did not.</summary>
    public string? LastError => _lastError;

    /// <summary>Takes a spare, which is then the caller's to end; null when none became ready in time.</summary>
    public async Task<Spare?> TakeAsync(TimeSpan limit, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        while (true)
        {
            Task changed;
            lock (_lock)
            {
                while (_ready.TryDequeue(out var spare))
                {
                    if (!spare.IsAlive)
                    {
                        Forget(spare);
                        continue;
                    }

                    _takenAt = time.GetTimestamp();
                    _wanted.Release();
                    return spare;
                }

                changed = _changed.Task;
            }

            var left = limit - time.GetElapsedTime(started);
            if (left <= TimeSpan.Zero)
                return null;
            Interlocked.Increment(ref _waiting);
            try
            {
                await changed.WaitAsync(left, time, cancellationToken);
            }
            catch (TimeoutException)
            {
                return null;
            }
            finally
            {
                Interlocked.Decrement(ref _waiting);
            }
        }
    }

    /// <summary>Makes spares until cancelled. Main runs.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var pause = TimeSpan.FromSeconds(1);
        while (true)
        {
            try
            {
                DropEnded();
                while (_dead.TryDequeue(out var dead))
                    await DiscardAsync(dead);
                while (Ready < options.SparesWanted)
                {
                    await LetPassAsync(cancellationToken);
                    await MakeAsync(cancellationToken);
                }

                await RenewAsync(cancellationToken);
                _lastError = null;
                pause = TimeSpan.FromSeconds(1);
                await _wanted.WaitAsync(CheckInterval, cancellationToken);
            }
            catch (Exception exception) when (Obstacle.Is(exception))
            {
                // Branches from seeds go on; whoever wants the present waits, or is told.
                _lastError = exception.Message;
                Log.SpareFailed(logger, pause.TotalSeconds, exception);
                await Task.Delay(pause, time, cancellationToken);
                pause = TimeSpan.FromSeconds(Math.Min(RetryPauseMax.TotalSeconds, pause.TotalSeconds * 2));
            }
        }
    }

    /// <summary>Ends all that are ready: what they followed is no more.</summary>
    public async Task ClearAsync()
    {
        List<Spare> ready;
        lock (_lock)
        {
            ready = [.. _ready];
            _ready.Clear();
        }

        // All servers before any volume, which the pool may refuse to remove.
        foreach (var spare in ready)
            await spare.DisposeAsync();
        foreach (var spare in ready)
            await maker.RemoveAsync(spare);
    }

    /// <summary>Ends a spare that nobody needs any more, and removes its data.</summary>
    public async Task DiscardAsync(Spare spare)
    {
        await spare.DisposeAsync();
        await maker.RemoveAsync(spare);
    }

    public async ValueTask DisposeAsync()
    {
        List<Spare> left;
        lock (_lock)
        {
            _ended = true;
            left = [.. _ready];
            _ready.Clear();
        }

        foreach (var spare in left.Concat(_dead))
            await DiscardAsync(spare);
        _wanted.Dispose();
    }

    async Task LetPassAsync(CancellationToken cancellationToken)
    {
        while (Volatile.Read(ref _waiting) == 0 && _takenAt != 0 && time.GetElapsedTime(_takenAt) < ReplacePause)
            await Task.Delay(ReplacePause / 10, time, cancellationToken);
    }

    async Task MakeAsync(CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        var spare = await maker.MakeAsync(nextNumber(), cancellationToken);
        TaskCompletionSource changed;
        bool ended;
        lock (_lock)
        {
            ended = _ended;
            if (!ended)
                _ready.Enqueue(spare);
            changed = _changed;
            _changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        if (ended)
        {
            await DiscardAsync(spare);
            return;
        }

        _lastError = null;
        Log.SpareReady(logger, spare.Number, time.GetElapsedTime(started).TotalMilliseconds);
        changed.SetResult();
    }

    // The new one is there before the old one goes, so that whoever wants the present never waits for it.
    async Task RenewAsync(CancellationToken cancellationToken)
    {
        Spare? oldest;
        lock (_lock)
            _ready.TryPeek(out oldest);
        if (oldest is null || (_renewedAt != 0 && time.GetElapsedTime(_renewedAt) < RenewPause) || !await maker.IsOutdatedAsync(oldest, cancellationToken))
            return;
        _renewedAt = time.GetTimestamp();
        await MakeAsync(cancellationToken);
        Spare? surplus = null;
        lock (_lock)
        {
            if (_ready.Count > options.SparesWanted)
                surplus = _ready.Dequeue();
        }

        if (surplus is null)
            return;
        Log.SpareRenewed(logger, surplus.Number);
        await DiscardAsync(surplus);
    }

    void DropEnded()
    {
        lock (_lock)
        {
            for (var left = _ready.Count; left > 0; left--)
            {
                var spare = _ready.Dequeue();
                if (spare.IsAlive)
                    _ready.Enqueue(spare);
                else
                    Forget(spare);
            }
        }
    }

    // Called under the lock; the loop removes it.
    void Forget(Spare spare)
    {
        Log.SpareEnded(logger, spare.Number);
        _dead.Enqueue(spare);
        _wanted.Release();
    }
}
