using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Tributary.Branching.Catalog;
using Tributary.Branching.Compute;
using Tributary.Branching.Seeding;
using Tributary.Branching.Storage;

namespace Tributary.Branching;

/// <summary>
/// The life of branches. Production is followed by main; seeds are taken from main; a branch is a clone of the newest seed.
/// <code>
/// production ──log──▶ main ──clone, recover, defuse──▶ seed ──clone──▶ branch ──start on connect──▶ compute
///                       └──clone, follow──▶ spare ──promote, defuse──▶ branch as of now, running
/// </code>
/// Creating a branch is a saga in the catalog, and each step can be repeated:
/// <list type="number">
/// <item>Reserve: the name and a number, in state Creating, are on disk.</item>
/// <item>Cut and clone: the newest seed's volume becomes the branch's, or the cut of the present is a promoted spare already.</item>
/// <item>Ready: the state on disk changes, and the branch is visible.</item>
/// </list>
/// Deleting runs the other way: state Deleting, compute ended, volume removed, row removed. What a crash interrupts, the
/// reconciler undoes (Creating) or finishes (Deleting) at the next start.
/// </summary>
public sealed class BranchManager : IAsyncDisposable
{
    /// <summary>Space that creation leaves free, so that running branches and deletions still have some.</summary>
    const long FreeBytesMin = 128L << 20;

    readonly BranchingOptions _options;
    readonly TimeProvider _time;
    readonly ILogger _logger;
    readonly Pool _pool;
    readonly BranchCatalog _catalog;
    readonly BranchPasswords _passwords;
    readonly BranchComputes _computes;
    readonly MainKeeper _main;
    readonly ConcurrentDictionary<string, Branch> _branches = new(StringComparer.Ordinal);
    readonly Lock _reservations = new();

    BranchManager(
        BranchingOptions options, TimeProvider time, ILogger logger, Pool pool, BranchCatalog catalog, BranchPasswords passwords,
        BranchComputes computes, MainKeeper main)
    {
        (_options, _time, _logger, _pool, _catalog, _passwords, _computes, _main) = (options, time, logger, pool, catalog, passwords, computes, main);
        foreach (var branch in catalog.Branches())
            _branches[branch.Name.ToString()] = branch;
    }

    /// <summary>What main, the pool and the seeds are like now.</summary>
    public BranchingStatus Status => _main.Describe(_pool.Driver.Name, _branches.Values.Count(branch => branch.State == BranchState.Ready), _computes.Running);

    /// <summary>Opens the pool and the catalog and mends what a crash left. Main begins to follow in <see cref="RunAsync"/>.</summary>
    public static async Task<BranchResult<BranchManager>> OpenAsync(
        BranchingOptions options, TimeProvider time, ILoggerFactory loggers, CancellationToken cancellationToken)
    {
        var logger = loggers.CreateLogger("Tributary.Branching");
        Pool? pool = null;
        BranchCatalog? catalog = null;
        try
        {
            Directory.CreateDirectory(options.StateDirectory);
            catalog = BranchCatalog.Open(Path.Combine(options.StateDirectory, "catalog.db"));
            var read = await SourceMemory.ReadAsync(options, catalog, logger, cancellationToken);
            if (read.Value is not { } facts)
                throw new BranchingException(read.Error!);
            pool = await Pool.OpenAsync(options, cancellationToken);
            Log.PoolOpened(logger, pool.Root, pool.Driver.Name);
            if (pool.Warning is { } warning)
                Log.PoolWarning(logger, warning);
            var main = MainKeeper.Compose(options, facts, pool, catalog, time, logger, out var launcher, out var runDirectory);
            var computes = new BranchComputes(options, facts.RequiredSettings, pool.Driver, launcher, runDirectory, time, logger);
            var manager = new BranchManager(options, time, logger, pool, catalog, BranchPasswords.Open(Path.Combine(options.StateDirectory, "secret.key")), computes, main);
            await manager.ReconcileAsync(cancellationToken);
            return manager;
        }
        catch (Exception exception) when (exception is StorageException or BranchingException or InvalidDataException or IOException or UnauthorizedAccessException or Microsoft.Data.Sqlite.SqliteException or InvalidOperationException)
        {
            catalog?.Dispose();
            if (pool is not null)
                await pool.CloseAsync();
            return (exception as BranchingException)?.Error ?? new BranchError(
                exception is StorageException { IsFull: true } ? BranchErrorKind.PoolFull : BranchErrorKind.StorageFailed, exception.Message);
        }
    }

    /// <summary>Follows production, makes seeds and puts idle branches to sleep until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        await Task.WhenAll(_main.RunAsync(cancellationToken), _computes.RunAsync(cancellationToken));
    }

    /// <summary>Makes a branch. One of a seed starts with its first connection; one of now may run already.</summary>
    /// <param name="origin">Which moment of production it is of.</param>
    /// <param name="idempotencyKey">A repetition with the same key answers the branch of the first call; null for none.</param>
    public async Task<BranchResult<Branch>> CreateAsync(BranchName name, BranchOrigin origin, string? idempotencyKey, CancellationToken cancellationToken)
    {
        if (idempotencyKey is not null && _catalog.NameOfKey(idempotencyKey) is { } made && _branches.TryGetValue(made, out var before) && before.State == BranchState.Ready)
            return Describe(before);
        var started = _time.GetTimestamp();
        if (origin == BranchOrigin.Seed)
        {
            using var seed = _main.UseNewestSeed();
            return seed is null
                ? new BranchError(BranchErrorKind.NotReady, _main.WhyNoSeed())
                : await MakeAsync(name, origin, idempotencyKey, started, _ => Task.FromResult<BranchResult<Cut>>(new Cut(seed.Seed, null, seed.Seed.Lsn, seed.Seed.DataTime)), cancellationToken);
        }

        if (_main.WhyNoNow() is { } why)
            return new BranchError(BranchErrorKind.NotReady, why);

        // The request counts from here on: before the name is on disk, so that a burst is one cut.
        using var share = _main.Cuts.Join();
        return await MakeAsync(name, origin, idempotencyKey, started, share.TakeAsync, cancellationToken);
    }

    /// <summary>All branches that clients can use, by age.</summary>
    public IReadOnlyList<Branch> List() => [.. _branches.Values.Where(branch => branch.State == BranchState.Ready).OrderBy(branch => branch.Id).Select(Describe)];

    /// <summary>Answers NotFound with near names in its message.</summary>
    public BranchResult<Branch> Find(string name) => _branches.TryGetValue(name, out var branch) && branch.State == BranchState.Ready
        ? Describe(branch)
        : new BranchError(
            BranchErrorKind.NotFound,
            $"There is no branch '{name}'.{NearNames.Suggest(name, List().Select(known => known.Name.ToString()))}");

    /// <summary>Cuts the branch's connections, ends its Postgres and removes all of it.</summary>
    public async Task<BranchResult<Branch>> DeleteAsync(BranchName name, CancellationToken cancellationToken)
    {
        // Only the very branch that was looked at is marked: of two deletions at once one does it, and a new branch of the name is not touched.
        if (!_branches.TryGetValue(name.ToString(), out var branch) || branch.State != BranchState.Ready ||
            !_branches.TryUpdate(name.ToString(), branch with { State = BranchState.Deleting }, branch))
            return Find(name.ToString()) is { Error: { } unknown } ? unknown : new BranchError(BranchErrorKind.NotFound, $"The branch {name} has just been deleted.");
        _catalog.SetState(branch.Id, BranchState.Deleting);
        try
        {
            await FinishDeletionAsync(branch);
        }
        catch (StorageException exception)
        {
            return new BranchError(BranchErrorKind.StorageFailed, $"{exception.Message} The branch is marked for deletion; the next start of Tributary finishes it.");
        }

        Log.BranchDeleted(_logger, name.ToString());
        return branch with { State = BranchState.Deleting };
    }

    /// <summary>Wakes the branch when it sleeps and counts a connection on it until the lease is disposed.</summary>
    public async Task<BranchResult<ComputeLease>> ConnectAsync(BranchName name, CancellationToken cancellationToken)
    {
        var found = Find(name.ToString());
        return found.Value is { } branch ? await _computes.AcquireAsync(branch, cancellationToken) : found.Error!;
    }

    /// <summary>The log of a branch's Postgres; empty until its first start.</summary>
    public ComputeLog LogOf(Branch branch) => _computes.LogOf(branch.Id);

    /// <summary>Processor time that a branch's Postgres has used since this process began, sleeps included.</summary>
    public TimeSpan CpuTimeOf(Branch branch) => _computes.CpuTimeOf(branch.Id);

    /// <summary>How often a branch's Postgres has ended by itself since this process began.</summary>
    public int CrashesOf(Branch branch) => _computes.CrashesOf(branch.Id);

    /// <summary>Puts to sleep every branch that nobody has used for <paramref name="idleFor"/>.</summary>
    public Task StopIdleAsync(TimeSpan idleFor, CancellationToken cancellationToken) => _computes.StopIdleAsync(idleFor, cancellationToken);

    /// <summary>The password of a branch's owner role, derived from the key in the state folder; nothing stores it.</summary>
    public string PasswordOf(Branch branch) => _passwords.Of(branch);

    /// <summary>Exclusive and shared bytes of each branch and of main, read from the file system.</summary>
    public async Task<PoolUsage> MeasureAsync(CancellationToken cancellationToken)
    {
        var volumes = List().ToDictionary(branch => Branch.VolumeOf(branch.Id), branch => branch.Name.ToString());
        var measured = await _pool.Driver.MeasureAsync([MainKeeper.Volume, .. volumes.Keys], cancellationToken);
        var (used, max, _) = _pool.Space();
        return new PoolUsage(
            measured.GetValueOrDefault(MainKeeper.Volume)?.TotalBytes ?? 0,
            measured.Where(pair => volumes.ContainsKey(pair.Key)).ToDictionary(pair => volumes[pair.Key], pair => pair.Value),
            used, max);
    }

    /// <summary>Ends everything that runs, in order, and closes the pool; the data stays.</summary>
    public async ValueTask DisposeAsync()
    {
        await _computes.DisposeAsync();
        await _main.DisposeAsync();
        _catalog.Dispose();
        await _pool.CloseAsync();
    }

    Branch Describe(Branch branch) => _computes.Describe(branch);

    async Task<BranchResult<Branch>> MakeAsync(
        BranchName name, BranchOrigin origin, string? idempotencyKey, long started, Func<CancellationToken, Task<BranchResult<Cut>>> cutAsync, CancellationToken cancellationToken)
    {
        // Step 1: reserve.
        var reserved = Reserve(name, origin, idempotencyKey);
        if (reserved.Value is not { } branch)
            return reserved;
        var volume = Branch.VolumeOf(branch.Id);
        Spare? spare = null;
        try
        {
            // Step 2: cut, and clone unless the cut is a server of its own.
            var cut = await cutAsync(cancellationToken);
            if (cut.Value is not { } present)
            {
                await UndoAsync(branch, volume);
                return cut.Error!;
            }

            spare = present.Spare;
            branch = branch with { Id = present.Spare?.Number ?? branch.Id, SeedId = present.Seed?.Id ?? "", Lsn = present.Lsn, DataTime = present.DataTime };
            if (present.Seed is { } seed)
            {
                using var use = _main.UseSeed(seed) ?? throw new StorageException($"The seed {seed.Id} has been removed in the meantime; try again.");
                await _pool.Driver.CloneAsync(use.Volume, volume, cancellationToken);
            }

            // Step 3: ready.
            return MakeReady(reserved.Value, branch, spare, started);
        }
        catch (Exception exception)
        {
            if (spare is not null)
                await _main.Cuts.DiscardAsync(spare);
            await UndoAsync(reserved.Value, volume);
            if (exception is not StorageException storage)
                throw;
            return new BranchError(storage.IsFull ? BranchErrorKind.PoolFull : BranchErrorKind.StorageFailed, storage.Message);
        }
    }

    BranchResult<Branch> MakeReady(Branch reserved, Branch branch, Spare? spare, long started)
    {
        branch = branch with { State = BranchState.Ready, CreatedAt = _time.GetUtcNow() };
        _catalog.SetReady(reserved.Id, branch);
        if (spare is not null)
            _computes.Adopt(branch, _main.Cuts.GiveAway(spare));
        _branches[branch.Name.ToString()] = branch;
        Log.BranchCreated(_logger, branch.Name.ToString(), spare is null ? $"seed {branch.SeedId}" : $"spare {spare.Number}", _time.GetElapsedTime(started).TotalMilliseconds);
        return Describe(branch);
    }

    BranchResult<Branch> Reserve(BranchName name, BranchOrigin origin, string? idempotencyKey)
    {
        lock (_reservations)
        {
            if (_branches.TryGetValue(name.ToString(), out var existing))
            {
                return new BranchError(BranchErrorKind.AlreadyExists, existing.State == BranchState.Deleting
                    ? $"A branch '{name}' is being deleted; try again in a moment."
                    : $"There is a branch '{name}' already. Choose another name, or delete it: tributary branch delete {name}");
            }

            if (_branches.Count >= _options.BranchesMax)
                return new BranchError(BranchErrorKind.LimitReached, $"There are {_options.BranchesMax} branches, as many as branching.branches-max allows. Delete one first.");
            if (_pool.Space().Free < FreeBytesMin)
                return new BranchError(BranchErrorKind.PoolFull, $"The pool has less than {FreeBytesMin >> 20} MiB free, which are kept back for running branches. Delete branches, or enlarge branching.pool-size.");
            var branch = _catalog.Reserve(name, origin, _time.GetUtcNow(), idempotencyKey);
            _branches[name.ToString()] = branch;
            return branch;
        }
    }

    async Task UndoAsync(Branch branch, string volume)
    {
        await _pool.Driver.DeleteAsync(volume, CancellationToken.None);
        _catalog.Remove(branch.Id);
        _branches.TryRemove(branch.Name.ToString(), out _);
    }

    async Task FinishDeletionAsync(Branch branch)
    {
        await _computes.RemoveAsync(branch.Id);
        await _pool.Driver.DeleteAsync(Branch.VolumeOf(branch.Id), CancellationToken.None);
        _catalog.Remove(branch.Id);
        _branches.TryRemove(branch.Name.ToString(), out _);
    }

    // After a crash the catalog is the truth: what it does not know is removed, what it knows as unfinished is undone or finished.
    async Task ReconcileAsync(CancellationToken cancellationToken)
    {
        foreach (var branch in _branches.Values.Where(branch => branch.State != BranchState.Ready).ToList())
        {
            Log.Reconciled(_logger, branch.Name.ToString());
            await FinishDeletionAsync(branch);
        }

        var known = _branches.Values.Select(branch => Branch.VolumeOf(branch.Id)).ToHashSet(StringComparer.Ordinal);
        foreach (var volume in _pool.Driver.List("branches").Where(volume => !known.Contains(volume)))
        {
            Log.Reconciled(_logger, volume);
            await _pool.Driver.DeleteAsync(volume, cancellationToken);
        }

        await _main.ReconcileAsync(cancellationToken);
    }
}
