using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Tributary.Postgres.Programs;

namespace Tributary.Branching.Compute;

/// <summary>The computes of all branches: at most <see cref="BranchingOptions.RunningMax"/> run, and those that idle are put to sleep.</summary>
/// <param name="isCurrent">Whether clients can use the branch, and it has this volume still.</param>
internal sealed class BranchComputes(
    BranchingOptions options, SourceFacts facts, IStorageDriver storage, IPostgresLauncher launcher, string runDirectory,
    Func<Branch, bool> isCurrent, Func<long> freeBytes, TimeProvider time, ILogger logger) : IAsyncDisposable
{
    /// <summary>How often idle branches are looked for; the idle time is exact to this.</summary>
    static readonly TimeSpan ReapInterval = TimeSpan.FromSeconds(1);

    readonly ConcurrentDictionary<long, BranchCompute> _computes = new();
    readonly SemaphoreSlim _starts = new(options.StartsAtOnceMax, options.StartsAtOnceMax);
    readonly RunningPlaces _places = new(options.RunningMax);

    public int Running => _computes.Values.Count(compute => compute.State != ComputeState.Asleep);

    /// <summary>The branch with what its compute does now.</summary>
    public Branch Describe(Branch branch) => _computes.TryGetValue(branch.Number, out var compute)
        ? branch with { Compute = compute.State, Connections = compute.Leases, LastUsedAt = compute.LastUsedAt, Usage = compute.Usage }
        : branch;

    /// <summary>The log of the branch's server, which it may not have written yet.</summary>
    public ComputeLog LogOf(long number) => new(new ComputeFolder(Path.Combine(runDirectory, Branch.FolderOf(number))).LogFile, options.BranchLogBytesMax);

    /// <summary>How often the branch's server has ended by itself since this process began.</summary>
    public int CrashesOf(long number) => _computes.TryGetValue(number, out var compute) ? compute.Crashes : 0;

    /// <summary>Makes the branch's server run and counts a lease on it.</summary>
    public async Task<BranchResult<ComputeLease>> AcquireAsync(Branch branch, CancellationToken cancellationToken)
    {
        var compute = _computes.GetOrAdd(branch.Number, _ => New(branch, adopted: null));
        using var place = await TakePlaceAsync(branch.Number, cancellationToken);
        if (place is null)
            return new BranchError(BranchErrorKind.LimitReached, $"{options.RunningMax} branches run at once and all are in use; disconnect from one, or raise branching.running-max.");
        try
        {
            // Whoever deletes or resets a branch says so before he ends its server, so that none is started for one that was found before.
            return await compute.AcquireAsync(() => isCurrent(branch), cancellationToken) is var (socketPath, wakeTime)
                ? new ComputeLease(compute.Release) { SocketPath = socketPath, WakeTime = wakeTime }
                : new BranchError(BranchErrorKind.NotFound, $"The branch {branch.Name} has just been deleted or reset.");
        }
        catch (Exception exception) when (exception is ChildProcessException or IOException or UnauthorizedAccessException)
        {
            Log.BranchStartFailed(logger, branch.Name.ToString(), exception);
            return new BranchError(BranchErrorKind.ComputeFailed, $"The branch {branch.Name} could not be started. {exception.Message}");
        }
    }

    /// <summary>
    /// Starts the server of a branch that was just made, since whoever makes one mostly connects at once: the start goes on while the answer
    /// travels and the client logs in. It is left to the client where it would take the place of another branch, or too many wait for theirs.
    /// </summary>
    public void StartAhead(Branch branch)
    {
        if (_computes.Values.Count(compute => compute.IsAhead) >= options.StartsAheadMax || Running >= options.RunningMax || !HasRoom())
            return;
        var compute = _computes.GetOrAdd(branch.Number, _ => New(branch, adopted: null));
        if (compute.State == ComputeState.Asleep)
            compute.StartAhead();
    }

    /// <summary>Takes a place among those that run, for a server that does already or is about to be started; null when all are in use.</summary>
    public Task<IDisposable?> TakePlaceAsync(long number, CancellationToken cancellationToken) => _places.TakeAsync(number, _computes, cancellationToken);

    /// <summary>Clones the branch's data to the named volume, with every commit that it has acknowledged; answers why it cannot be cloned now, or null.</summary>
    public Task<BranchError?> ForkAsync(Branch branch, string copy, CancellationToken cancellationToken) =>
        _computes.GetOrAdd(branch.Number, _ => New(branch, adopted: null)).ForkAsync(() => isCurrent(branch), storage, copy, cancellationToken);

    /// <summary>Another name or other settings, from the branch's next start on.</summary>
    public void Update(Branch branch)
    {
        if (_computes.TryGetValue(branch.Number, out var compute))
            compute.Update(branch, SpecOf(branch));
    }

    /// <summary>Stops the branch's server in order, whoever is in it; the next connection starts it again.</summary>
    public Task StopAsync(Branch branch, CancellationToken cancellationToken) =>
        _computes.TryGetValue(branch.Number, out var compute) ? compute.StopAsync(cancellationToken) : Task.CompletedTask;

    /// <summary>
    /// Ends the branch's server in order; no lease on it is given any more. It is known until it has ended: another one beside it would be two servers
    /// on the same data.
    /// </summary>
    public async Task EndAsync(long number)
    {
        if (!_computes.TryGetValue(number, out var compute))
            return;
        await compute.DisposeAsync();
        _computes.TryRemove(KeyValuePair.Create(number, compute));
    }

    /// <summary>Ends the branch's server at once and removes its folder outside the pool.</summary>
    public async Task RemoveAsync(long number)
    {
        if (_computes.TryRemove(number, out var compute))
            await compute.RemoveAsync();
        new ComputeFolder(Path.Combine(runDirectory, Branch.FolderOf(number))).Delete();
    }

    /// <summary>Removes the folders outside the pool of servers that a crash has ended: spares, seeds and branches that are no more.</summary>
    public void RemoveOtherFolders(IEnumerable<long> branches)
    {
        var known = branches.Select(Branch.FolderOf).Append(MainKeeper.Volume).ToHashSet(StringComparer.Ordinal);
        foreach (var folder in Directory.EnumerateDirectories(runDirectory).Where(folder => !known.Contains(Path.GetFileName(folder))).ToList())
        {
            try
            {
                new ComputeFolder(folder).Delete();
            }
            catch (IOException)
            {
                // Its server is ending just now and still writes; the next start removes it.
            }
        }
    }

    /// <summary>Puts idle branches to sleep until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(ReapInterval, time);
        while (await timer.WaitForNextTickAsync(cancellationToken))
        {
            await StopIdleAsync(options.IdleTimeout, cancellationToken);
            try
            {
                BoundLogs();
            }
            catch (Exception exception) when (Obstacle.Is(exception))
            {
                Log.LogsNotBounded(logger, exception);
            }
        }
    }

    public async Task StopIdleAsync(TimeSpan idleFor, CancellationToken cancellationToken)
    {
        foreach (var compute in _computes.Values)
        {
            try
            {
                await compute.StopIfIdleAsync(idleFor, cancellationToken);
            }
            catch (Exception exception) when (Obstacle.Is(exception))
            {
                // One that cannot be stopped keeps no other one awake.
                Log.NotPutToSleep(logger, compute.Name, exception);
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        await Parallel.ForEachAsync(
            _computes.Values, new ParallelOptions { MaxDegreeOfParallelism = options.StartsAtOnceMax * 2 }, async (compute, _) => await compute.DisposeAsync());
        _starts.Dispose();
    }

    // Main's, the spares' and the archive's too; what sleeps writes nothing.
    void BoundLogs()
    {
        var asleep = _computes.Where(static pair => pair.Value.State == ComputeState.Asleep).Select(static pair => Branch.FolderOf(pair.Key)).ToHashSet(StringComparer.Ordinal);
        var servers = Directory.EnumerateDirectories(runDirectory).Where(folder => !asleep.Contains(Path.GetFileName(folder))).Select(static folder => new ComputeFolder(folder).LogFile);
        foreach (var log in servers.Concat(Directory.EnumerateFiles(runDirectory, "*.log")))
        {
            try
            {
                new ComputeLog(log, options.BranchLogBytesMax).Bound();
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                Log.LogUnbounded(logger, log, exception);
            }
        }
    }

    /// <summary>
    /// Takes over a server that already runs on the branch's volume, under its folder; the next start is by the branch's own settings. Its place is
    /// taken (<see cref="TakePlaceAsync"/>).
    /// </summary>
    public void Adopt(Branch branch, IRunningPostgres running) => _computes[branch.Number] = New(branch, running);

    /// <summary>The lines that a branch's server runs with.</summary>
    public static IReadOnlyList<string> SettingsOf(BranchingOptions options, IReadOnlyList<string> requiredSettings, string name, BranchPolicy policy) =>
        ComputeSettings.Lines(options, name, requiredSettings, policy.Durability, policy.Settings);

    /// <summary>What a branch's server may take.</summary>
    public static ComputeLimits LimitsOf(BranchingOptions options) =>
        new() { MemoryBytesMax = options.BranchMemoryMax, CpusMax = options.BranchCpusMax, ProcessesMax = options.BranchProcessesMax };

    BranchCompute New(Branch branch, IRunningPostgres? adopted) =>
        new(branch, SpecOf(branch), [facts.Superuser, options.OwnerRole], facts.Major, launcher, _starts, HasRoom, time, logger, adopted);

    bool HasRoom() => freeBytes() > BranchRegistry.FreeBytesMin;

    LaunchSpec SpecOf(Branch branch) => new(
        Branch.FolderOf(branch.Number), storage.PathOf(Branch.VolumeOf(branch.Number)),
        SettingsOf(options, facts.RequiredSettings, branch.Name.ToString(), branch.Policy))
    {
        StartTimeout = options.StartTimeout,
        Limits = LimitsOf(options),
    };
}
