using Microsoft.Extensions.Logging;
using Tributary.Postgres.Programs;

namespace Tributary.Branching.Compute;

/// <summary>
/// The Postgres of one branch: started by the first lease, or ahead of it, kept while leases are held, stopped when it has been idle long enough,
/// and started again at once when it ends by itself under leases.
/// One lock makes starting, stopping and removal exclude each other; counting leases needs only the moment of the lock.
/// </summary>
internal sealed class BranchCompute : IAsyncDisposable
{
    /// <summary>The pause before each of the restarts in a row. What does not stay up after half a minute needs a person, or the next client's try.</summary>
    static readonly TimeSpan[] RestartPauses = [.. new[] { 0, 0.5, 2, 8, 20 }.Select(TimeSpan.FromSeconds)];

    /// <summary>A server that has run for so long is counted as well again: its next end is met without a pause.</summary>
    static readonly TimeSpan SteadyAfter = TimeSpan.FromMinutes(1);

    /// <summary>How long a server that was started ahead waits for its first client: who makes a branch for now connects within seconds.</summary>
    static readonly TimeSpan AheadTimeout = TimeSpan.FromSeconds(30);

    readonly IReadOnlyList<string> _superusers;
    readonly int _major;
    readonly ComputeServer _server;
    readonly Func<bool> _hasRoom;
    readonly TimeProvider _time;
    readonly ILogger _logger;
    readonly SemaphoreSlim _lock = new(1, 1);
    readonly CancellationTokenSource _end = new();
    Branch _branch;
    LaunchSpec _spec;
    Task _watch = Task.CompletedTask;
    Task _startingAhead = Task.CompletedTask;
    DateTimeOffset? _aheadSince;
    int _leases;
    int _crashes;
    int _restartsInARow;
    bool _removed;

    /// <param name="superusers">Roles that exist in every branch unless somebody dropped them.</param>
    /// <param name="major">The server's major version.</param>
    /// <param name="hasRoom">Whether the pool has room for a segment of the log; a server that cannot write its log ends.</param>
    /// <param name="adopted">A server that runs already; null when the first lease is to start one.</param>
    public BranchCompute(
        Branch branch, LaunchSpec spec, IReadOnlyList<string> superusers, int major, IPostgresLauncher launcher, SemaphoreSlim starts, Func<bool> hasRoom, TimeProvider time,
        ILogger logger, IRunningPostgres? adopted = null)
    {
        (_branch, _spec, _superusers, _major, _hasRoom, _time, _logger) = (branch, spec, superusers, major, hasRoom, time, logger);
        _server = new ComputeServer(branch.Usage, launcher, starts, time, adopted);
        LastUsedAt = branch.LastUsedAt;
        if (adopted is null)
            return;
        LastUsedAt = time.GetUtcNow();
        _watch = WatchAsync(adopted);
    }

    public string Name => _branch.Name.ToString();

    public ComputeState State => _server.State;

    public int Leases => Volatile.Read(ref _leases);

    public DateTimeOffset? LastUsedAt { get; private set; }

    /// <summary>Whether it was started ahead, and its first client has not come yet.</summary>
    public bool IsAhead => _aheadSince is not null;

    /// <summary>How often the server has ended by itself.</summary>
    public int Crashes => Volatile.Read(ref _crashes);

    /// <summary>What all its servers have used, the one that runs now among them.</summary>
    public ComputeUsage Usage => _server.Usage;

    /// <summary>Another name or other settings, from the next start on.</summary>
    public void Update(Branch branch, LaunchSpec spec) => (_branch, _spec) = (branch, spec);

    /// <summary>Starts the server for a client that is expected at once; the next one asks again for what fails here.</summary>
    public void StartAhead()
    {
        _aheadSince = _time.GetUtcNow();
        _startingAhead = Task.Run(StartAheadAsync);
    }

    /// <summary>Makes the server run and counts a lease on it; null when the branch has been removed meanwhile.</summary>
    /// <param name="isCurrent">Asked when nobody can start or stop the server.</param>
    /// <exception cref="ChildProcessException">It did not start.</exception>
    public async Task<(string SocketPath, TimeSpan? WakeTime)?> AcquireAsync(Func<bool> isCurrent, CancellationToken cancellationToken)
    {
        var asked = _time.GetTimestamp();
        // One that is being started ahead is waited for as well.
        var isWoken = State != ComputeState.Running;
        await _lock.WaitAsync(cancellationToken);
        try
        {
            if (_removed || !isCurrent())
                return null;
            // What was decided about the branch since it was started ahead holds for its first client.
            if (IsAhead && _server.Alive is not null && !_server.RunsWith(_spec))
                await _server.StopAsync(cancellationToken);
            if (_server.Alive is null)
            {
                isWoken = true;
                await StartAsync(cancellationToken);
            }

            _aheadSince = null;
            Interlocked.Increment(ref _leases);
            _server.CountConnection();
            LastUsedAt = _time.GetUtcNow();
            return (Path.Combine(_server.Running!.SocketDirectory, LaunchSpec.SocketFile), isWoken ? _time.GetElapsedTime(asked) : null);
        }
        finally
        {
            _lock.Release();
        }
    }

    public void Release()
    {
        LastUsedAt = _time.GetUtcNow();
        Interlocked.Decrement(ref _leases);
    }

    /// <summary>Stops the server when nobody holds it and it has been idle for <paramref name="idleFor"/>.</summary>
    public async Task StopIfIdleAsync(TimeSpan idleFor, CancellationToken cancellationToken)
    {
        var limit = IsAhead && AheadTimeout < idleFor ? AheadTimeout : idleFor;
        if (_server.Running is null || Leases > 0 || _time.GetUtcNow() - (_aheadSince ?? LastUsedAt) < limit || !await _lock.WaitAsync(TimeSpan.Zero, cancellationToken))
            return;
        try
        {
            if (Leases > 0 || _server.Running is not { } running)
                return;
            // A log that cannot be left costs space, and nothing else.
            if (_hasRoom())
                await BranchCommand.RunAsync(BranchCommand.LeaveLog, running.SocketDirectory, _superusers, _major, cancellationToken);
            await StopServerAsync(cancellationToken);
            Log.BranchSleeps(_logger, Name);
        }
        finally
        {
            _lock.Release();
        }
    }

    /// <summary>Clones the branch's data, with every commit that the branch has acknowledged. Nobody starts or stops the server meanwhile.</summary>
    /// <returns>Why it cannot be cloned now; null when it was.</returns>
    public async Task<BranchError?> ForkAsync(Func<bool> isCurrent, IStorageDriver storage, string copy, CancellationToken cancellationToken)
    {
        await _lock.WaitAsync(cancellationToken);
        try
        {
            if (_removed || !isCurrent())
                return new BranchError(BranchErrorKind.NotFound, $"The branch {Name} has just been deleted or reset.");
            var running = _server.Alive;
            if (running is not null && await BranchCommand.RunAsync(BranchCommand.Flush, running.SocketDirectory, _superusers, _major, cancellationToken) is { } notFlushed)
                return new BranchError(BranchErrorKind.ComputeFailed, $"The branch {Name} could not be flushed, so a fork might lack what it has committed last. {notFlushed}");
            await storage.CloneAsync(Branch.VolumeOf(_branch.Number), copy, running, cancellationToken);
            return null;
        }
        finally
        {
            _lock.Release();
        }
    }

    /// <summary>Stops the server in order, whoever is in it, and starts it again for the next lease.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await _lock.WaitAsync(cancellationToken);
        try
        {
            await StopServerAsync(cancellationToken);
        }
        finally
        {
            _lock.Release();
        }
    }

    /// <summary>Ends the server at once; its sessions are cut and no lease is given any more.</summary>
    public Task RemoveAsync() => EndAsync(inOrder: false);

    /// <summary>Stops the server in order, for the end of this process.</summary>
    public async ValueTask DisposeAsync() => await EndAsync(inOrder: true);

    async Task EndAsync(bool inOrder)
    {
        // A restart that pauses would hold the end up.
        await _end.CancelAsync();
        await _lock.WaitAsync(CancellationToken.None);
        try
        {
            _removed = true;
            await (inOrder ? _server.StopAsync(CancellationToken.None) : _server.EndAsync());
        }
        finally
        {
            _lock.Release();
        }

        await _startingAhead;
        await _watch;
    }

    async Task StartAheadAsync()
    {
        try
        {
            await _lock.WaitAsync(_end.Token);
            try
            {
                if (!_removed && _server.Running is null)
                    await StartAsync(_end.Token);
            }
            finally
            {
                _lock.Release();
            }
        }
        catch (OperationCanceledException)
        {
            // The branch has been deleted, or this process ends.
        }
        catch (Exception exception) when (exception is ChildProcessException or IOException or UnauthorizedAccessException)
        {
            _aheadSince = null;
            Log.BranchStartFailed(_logger, Name, exception);
        }
    }

    // Called under the lock.
    async Task StopServerAsync(CancellationToken cancellationToken)
    {
        await _server.StopAsync(cancellationToken);
        _aheadSince = null;
    }

    // Called under the lock.
    async Task StartAsync(CancellationToken cancellationToken)
    {
        await ForgetCrashedAsync();
        var elapsed = await _server.StartAsync(_spec, cancellationToken);
        _watch = WatchAsync(_server.Running!);
        Log.BranchWoke(_logger, Name, elapsed.TotalMilliseconds);
    }

    // Ends with its server: when it was ended on purpose, nothing is to be done, since whoever did it has put another in its place or none.
    async Task WatchAsync(IRunningPostgres watched)
    {
        var started = _time.GetTimestamp();
        await watched.Exited;
        if (_time.GetElapsedTime(started) > SteadyAfter)
            _restartsInARow = 0;
        try
        {
            var last = watched;
            while (_restartsInARow < RestartPauses.Length)
            {
                await Task.Delay(RestartPauses[_restartsInARow], _time, _end.Token);
                if (await TryRestartAsync(last))
                    return;
                last = null;
            }

            if (await SettleAsync(last))
                Log.BranchStaysDown(_logger, Name, RestartPauses.Length);
        }
        catch (OperationCanceledException)
        {
            // The branch has been deleted, or this process ends.
        }
    }

    // True when nothing is left to do. A failed start leaves no server behind, which the next try expects.
    async Task<bool> TryRestartAsync(IRunningPostgres? expected)
    {
        await _lock.WaitAsync(_end.Token);
        try
        {
            if (!ReferenceEquals(expected, _server.Running))
                return true;
            await ForgetCrashedAsync();

            // Without a client there is nobody to hurry for: the next one starts it.
            if (Leases == 0)
                return true;
            _restartsInARow++;
            await StartAsync(_end.Token);
            Log.BranchRestarted(_logger, Name, Crashes);
            return true;
        }
        catch (Exception exception) when (exception is ChildProcessException or IOException or UnauthorizedAccessException)
        {
            Log.BranchStartFailed(_logger, Name, exception);
            return false;
        }
        finally
        {
            _lock.Release();
        }
    }

    async Task<bool> SettleAsync(IRunningPostgres? expected)
    {
        await _lock.WaitAsync(_end.Token);
        try
        {
            if (!ReferenceEquals(expected, _server.Running))
                return false;
            await ForgetCrashedAsync();
            return true;
        }
        finally
        {
            _lock.Release();
        }
    }

    // Whoever stops a server on purpose forgets it under the same lock, so one that is still here and has ended has ended by itself.
    async Task ForgetCrashedAsync()
    {
        if (_server.Running is null)
            return;
        Interlocked.Increment(ref _crashes);
        Log.BranchCrashed(_logger, Name);
        await _server.EndAsync();
        _aheadSince = null;
    }
}
