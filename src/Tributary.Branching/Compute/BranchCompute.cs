using Microsoft.Extensions.Logging;
using Tributary.Postgres.Programs;

namespace Tributary.Branching.Compute;

/// <summary>
/// The Postgres of one branch: started by the first lease, kept while leases are held, stopped when it has been idle long enough.
/// One lock makes starting, stopping and removal exclude each other; counting leases needs only the moment of the lock.
/// </summary>
internal sealed class BranchCompute(
    Branch branch, LaunchSpec spec, IPostgresLauncher launcher, SemaphoreSlim starts, TimeProvider time, ILogger logger) : IAsyncDisposable
{
    readonly SemaphoreSlim _lock = new(1, 1);
    IRunningPostgres? _running;
    int _leases;
    bool _removed;

    public ComputeState State { get; private set; }

    public int Leases => Volatile.Read(ref _leases);

    public DateTimeOffset? LastUsedAt { get; private set; }

    /// <summary>Makes the server run and counts a lease on it; null when the branch has been removed meanwhile.</summary>
    /// <exception cref="ChildProcessException">It did not start.</exception>
    public async Task<(string SocketPath, TimeSpan? WakeTime)?> AcquireAsync(CancellationToken cancellationToken)
    {
        await _lock.WaitAsync(cancellationToken);
        try
        {
            if (_removed)
                return null;
            TimeSpan? wakeTime = null;
            if (_running is null || _running.Exited.IsCompleted)
                wakeTime = await StartAsync(cancellationToken);
            Interlocked.Increment(ref _leases);
            LastUsedAt = time.GetUtcNow();
            return (Path.Combine(_running!.SocketDirectory, ComputeFolder.SocketFile), wakeTime);
        }
        finally
        {
            _lock.Release();
        }
    }

    public void Release()
    {
        LastUsedAt = time.GetUtcNow();
        Interlocked.Decrement(ref _leases);
    }

    /// <summary>Stops the server when nobody holds it and it has been idle for <paramref name="idleFor"/>.</summary>
    public async Task StopIfIdleAsync(TimeSpan idleFor, CancellationToken cancellationToken)
    {
        if (_running is null || Leases > 0 || time.GetUtcNow() - LastUsedAt < idleFor || !await _lock.WaitAsync(TimeSpan.Zero, cancellationToken))
            return;
        try
        {
            if (Leases > 0 || _running is not { } running)
                return;
            if (running.Exited.IsCompleted)
                Log.BranchCrashed(logger, branch.Name.ToString());
            State = ComputeState.Stopping;
            await running.StopAsync(cancellationToken);
            await ForgetAsync();
            Log.BranchSleeps(logger, branch.Name.ToString());
        }
        finally
        {
            _lock.Release();
        }
    }

    /// <summary>Ends the server at once; its sessions are cut and no lease is given any more.</summary>
    public async Task RemoveAsync()
    {
        await _lock.WaitAsync(CancellationToken.None);
        try
        {
            _removed = true;
            await ForgetAsync();
        }
        finally
        {
            _lock.Release();
        }
    }

    /// <summary>Stops the server in order, for the end of this process.</summary>
    public async ValueTask DisposeAsync()
    {
        await _lock.WaitAsync(CancellationToken.None);
        try
        {
            _removed = true;
            if (_running is { } running)
                await running.StopAsync(CancellationToken.None);
            await ForgetAsync();
        }
        finally
        {
            _lock.Release();
        }
    }

    async Task<TimeSpan> StartAsync(CancellationToken cancellationToken)
    {
        if (_running is not null)
        {
            Log.BranchCrashed(logger, branch.Name.ToString());
            await ForgetAsync();
        }

        // The wait for a turn counts: it is what the client feels.
        var started = time.GetTimestamp();
        State = ComputeState.Starting;
        try
        {
            await starts.WaitAsync(cancellationToken);
            try
            {
                _running = await launcher.LaunchAsync(spec, cancellationToken);
            }
            finally
            {
                starts.Release();
            }

            State = ComputeState.Running;
            var elapsed = time.GetElapsedTime(started);
            Log.BranchWoke(logger, branch.Name.ToString(), elapsed.TotalMilliseconds);
            return elapsed;
        }
        catch
        {
            State = ComputeState.Asleep;
            throw;
        }
    }

    async Task ForgetAsync()
    {
        if (_running is { } running)
            await running.DisposeAsync();
        _running = null;
        State = ComputeState.Asleep;
    }
}
