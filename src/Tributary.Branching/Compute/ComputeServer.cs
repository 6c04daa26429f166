using Tributary.Postgres.Programs;

namespace Tributary.Branching.Compute;

/// <summary>
/// The servers that one branch has had, one after the other, and what they have used. Starts and stops exclude each other by the caller's lock;
/// what is only read may be read at any time.
/// </summary>
internal sealed class ComputeServer
{
    readonly IPostgresLauncher _launcher;
    readonly SemaphoreSlim _starts;
    readonly TimeProvider _time;
    IReadOnlyList<string> _startedWith = [];
    TimeSpan _cpuTimeBefore;
    TimeSpan _runTimeBefore;
    long _startedAt;
    long _connections;

    /// <param name="used">What the branch's servers before have used.</param>
    /// <param name="starts">Bounds how many servers start at once.</param>
    /// <param name="adopted">A server that runs already; null when there is none.</param>
    public ComputeServer(ComputeUsage used, IPostgresLauncher launcher, SemaphoreSlim starts, TimeProvider time, IRunningPostgres? adopted)
    {
        (_launcher, _starts, _time) = (launcher, starts, time);
        (_runTimeBefore, _cpuTimeBefore, _connections) = (used.RunTime, used.CpuTime, used.Connections);
        if (adopted is null)
            return;
        Running = adopted;
        _startedAt = time.GetTimestamp();
        State = ComputeState.Running;
    }

    /// <summary>The server, which may have ended by itself; null when there is none.</summary>
    public IRunningPostgres? Running { get; private set; }

    /// <summary>The server, when it has not ended.</summary>
    public IRunningPostgres? Alive => Running is { Exited.IsCompleted: false } alive ? alive : null;

    public ComputeState State { get; private set; }

    /// <summary>What all servers have used, the one that runs now among them.</summary>
    public ComputeUsage Usage => Running is { } running
        ? new(_runTimeBefore + _time.GetElapsedTime(_startedAt), _cpuTimeBefore + running.CpuTime, Volatile.Read(ref _connections))
        : new(_runTimeBefore, _cpuTimeBefore, Volatile.Read(ref _connections));

    public void CountConnection() => Interlocked.Increment(ref _connections);

    /// <summary>Whether the server was started with these settings.</summary>
    public bool RunsWith(LaunchSpec spec) => _startedWith.SequenceEqual(spec.Settings);

    /// <summary>Starts a server where there is none. The wait for a turn counts into the time that is answered: it is what the client feels.</summary>
    /// <exception cref="ChildProcessException">It did not start.</exception>
    public async Task<TimeSpan> StartAsync(LaunchSpec spec, CancellationToken cancellationToken)
    {
        var started = _time.GetTimestamp();
        State = ComputeState.Starting;
        try
        {
            await _starts.WaitAsync(cancellationToken);
            try
            {
                Running = await _launcher.LaunchAsync(spec, cancellationToken);
            }
            finally
            {
                _starts.Release();
            }
        }
        catch
        {
            State = ComputeState.Asleep;
            throw;
        }

        State = ComputeState.Running;
        _startedWith = spec.Settings;
        _startedAt = _time.GetTimestamp();
        return _time.GetElapsedTime(started);
    }

    /// <summary>Stops the server in order, when there is one.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        if (Running is { } running)
        {
            State = ComputeState.Stopping;
            await running.StopAsync(cancellationToken);
        }

        await EndAsync();
    }

    /// <summary>Ends the server at once, when there is one.</summary>
    public async Task EndAsync()
    {
        if (Running is { } running)
        {
            await running.DisposeAsync();
            _cpuTimeBefore += running.CpuTime;
            _runTimeBefore += _time.GetElapsedTime(_startedAt);
        }

        Running = null;
        State = ComputeState.Asleep;
    }
}
