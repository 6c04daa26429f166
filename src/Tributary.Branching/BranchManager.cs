using Microsoft.Extensions.Logging;
using Tributary.Branching.Catalog;
using Tributary.Branching.Compute;
using Tributary.Branching.Storage;
using Tributary.Postgres.Programs;

namespace Tributary.Branching;

/// <summary>
/// The life of branches. Production is followed by main; seeds are taken from main; a branch is a clone of a seed, a promoted spare, or a fork
/// of another branch.
/// <code>
/// production ──log──▶ main ──clone, recover, defuse──▶ seed ──clone──▶ branch ──start on connect──▶ compute
///                       └──clone, follow──▶ spare ──promote, defuse──▶ branch as of now, running
/// </code>
/// <list type="number">
/// <item>Open the catalog and the pool, and mend what a crash left.</item>
/// <item>Run: main follows production, seeds and spares are made, idle branches are put to sleep, those whose time has come are removed.</item>
/// <item>Meanwhile <see cref="BranchMaker"/> makes branches, <see cref="BranchRemover"/> ends them, and <see cref="BranchRegistry"/> has those
/// that there are.</item>
/// </list>
/// </summary>
public sealed class BranchManager : IAsyncDisposable
{
    /// <summary>The catalog's name in the state folder.</summary>
    public const string CatalogFile = "catalog.db";

    internal const string KeyFile = "secret.key";

    readonly BranchingOptions _options;
    readonly Pool _pool;
    readonly BranchCatalog _catalog;
    readonly BranchPasswords _passwords;
    readonly BranchRegistry _registry;
    readonly BranchComputes _computes;
    readonly MainKeeper _main;
    readonly BranchMaker _maker;
    readonly BranchRemover _remover;
    readonly BranchQuota _quota;
    readonly string _superuser;
    readonly FullPool _fullPool;
    readonly UsageKeeper _usage;
    readonly GoneAccounts _gone;
    readonly PoolKeeper _poolKeeper;
    readonly PoolMeter _meter;

    BranchManager(BranchingOptions options, SourceFacts facts, IMainFeed? feed, Pool pool, BranchCatalog catalog, BranchPasswords passwords, TimeProvider time, ILogger logger)
    {
        (_options, _pool, _catalog, _passwords, _superuser) = (options, pool, catalog, passwords, facts.Superuser);
        _registry = new BranchRegistry(options, catalog, () => pool.Space().Free, time);
        _main = MainComposition.Compose(
            options, facts, feed, pool, catalog, volume => _registry.IsBirth(volume), time, logger, out var launcher, out var runDirectory);
        _computes = new BranchComputes(options, facts, pool.Driver, launcher, runDirectory, _registry.IsCurrent, () => pool.Space().Free, time, logger);
        _maker = new BranchMaker(_registry, catalog, pool.Driver, _computes, _main, time, logger);
        _gone = new GoneAccounts(catalog);
        _remover = new BranchRemover(options, _registry, _maker, pool.Driver, _computes, _gone, () => pool.Space().Free, time, logger);
        _quota = new BranchQuota(options, _registry, pool.Driver, _computes, time, logger);
        _usage = new UsageKeeper(_registry, _computes, time, logger);
        _poolKeeper = new PoolKeeper(pool, time, logger);
        _fullPool = new FullPool(_registry, pool.Driver, _computes, new PoolReserve(pool), () => pool.Space().Free, time, logger);
        _meter = new PoolMeter(pool.Driver, time);
    }

    /// <summary>What main, the pool and the seeds are like now.</summary>
    public BranchingStatus Status => _main.Describe(_pool.Driver.Name, _registry.In(BranchState.Ready).Count, _computes.Running);

    /// <summary>Opens the pool and the catalog and mends what a crash left. Main begins to follow in <see cref="RunAsync"/>.</summary>
    /// <param name="feed">What brings production's changes into main with <see cref="FollowingMode.Logical"/>; else null.</param>
    public static async Task<BranchResult<BranchManager>> OpenAsync(
        BranchingOptions options, IMainFeed? feed, TimeProvider time, ILoggerFactory loggers, CancellationToken cancellationToken)
    {
        var logger = loggers.CreateLogger("Tributary.Branching");
        Pool? pool = null;
        BranchCatalog? catalog = null;
        try
        {
            Directory.CreateDirectory(options.StateDirectory);
            // A catalog that is damaged is said before anything is touched; one that is lost only the pool tells from a new one.
            catalog = BranchCatalog.Open(Path.Combine(options.StateDirectory, CatalogFile));
            await StrayServers.EndAsync(Path.Combine(options.StateDirectory, MainComposition.RunFolder), time, logger, cancellationToken);
            pool = await Pool.OpenAsync(options, cancellationToken);
            Log.PoolOpened(logger, pool.Root, pool.Driver.Name);
            if (pool.Warning is { } warning)
                Log.PoolWarning(logger, warning);
            catalog.Attach(new CatalogRecords(pool.Driver.PathOf(CatalogRecords.Folder), logger));
            var read = await SourceMemory.ReadAsync(options, catalog, pool.Driver.PathOf(MainKeeper.Volume), logger, cancellationToken);
            if (read.Value is not { } facts)
                throw new BranchingException(read.Error!);
            var manager = new BranchManager(options, facts, feed, pool, catalog, BranchPasswords.Open(Path.Combine(options.StateDirectory, KeyFile)), time, logger);
            await manager._remover.ReconcileAsync(cancellationToken);
            await manager._main.ReconcileAsync(cancellationToken);
            return manager;
        }
        catch (Exception exception) when (exception is StorageException or BranchingException or ChildProcessException or InvalidDataException or IOException or UnauthorizedAccessException or Microsoft.Data.Sqlite.SqliteException or InvalidOperationException)
        {
            catalog?.Dispose();
            if (pool is not null)
                await pool.CloseAsync();
            return (exception as BranchingException)?.Error ?? BranchError.OfStorage(exception);
        }
    }

    /// <summary>Follows production, makes seeds, puts idle branches to sleep and ends those whose time has come until cancelled.</summary>
    public Task RunAsync(CancellationToken cancellationToken) => OwnedLoops.RunAsync(
        [_main.RunAsync, _computes.RunAsync, _remover.RunAsync, _quota.RunAsync, _usage.RunAsync, _poolKeeper.RunAsync, _fullPool.RunAsync, token => _meter.RunAsync(List, token)], cancellationToken);

    /// <summary>Makes a branch, which runs already, or starts ahead of its first connection or with it.</summary>
    public Task<BranchResult<Branch>> CreateAsync(BranchRequest request, CancellationToken cancellationToken) => _maker.CreateAsync(request, cancellationToken);

    /// <summary>Makes the branch what its parent is now, or what it was at first. Its sessions are cut; name, password and policy stay.</summary>
    public Task<BranchResult<Branch>> ResetAsync(BranchName name, ResetTarget target, CancellationToken cancellationToken) =>
        _maker.ResetAsync(name, target, cancellationToken);

    /// <summary>All branches that clients can use, by age.</summary>
    public IReadOnlyList<Branch> List() => [.. _registry.In(BranchState.Ready).Select(_computes.Describe)];

    /// <summary>Deleted branches that can be restored, by age.</summary>
    public IReadOnlyList<Branch> ListDeleted() => _registry.In(BranchState.Deleted);

    /// <summary>What branches that are deleted have used, by owner; the empty name stands for none.</summary>
    public IReadOnlyDictionary<string, GoneAccount> DeletedAccounts()
    {
        var accounts = new Dictionary<string, GoneAccount>(_gone.All);
        foreach (var branch in ListDeleted())
            accounts[branch.Policy.Owner ?? ""] = accounts.GetValueOrDefault(branch.Policy.Owner ?? "", GoneAccount.None).With(branch);
        return accounts;
    }

    /// <summary>Answers NotFound with near names in its message.</summary>
    public BranchResult<Branch> Find(string name) => Described(_registry.Find(name));

    /// <summary>The name of the branch that another was forked from; null when that is main, or the parent is gone.</summary>
    public BranchName? ParentOf(Branch branch) =>
        branch.ParentId is { } id && _registry.ById(id) is { State: BranchState.Ready } parent ? parent.Name : null;

    /// <summary>Gives the branch another name; connections that are open stay.</summary>
    public BranchResult<Branch> Rename(BranchName name, BranchName newName) => Change(name, current => current with { Name = newName });

    /// <summary>Changes what a person decides about the branch; other settings hold from its next start on.</summary>
    public BranchResult<Branch> SetPolicy(BranchName name, Func<BranchPolicy, BranchPolicy> change) => Change(name, current =>
    {
        var policy = change(current.Policy);
        return policy.Problem() is { } problem ? new BranchError(BranchErrorKind.InvalidRequest, problem) : current with { Policy = policy };
    });

    /// <summary>Cuts the branch's connections and ends its Postgres. It can be restored for a while, unless it is purged.</summary>
    public Task<BranchResult<Branch>> DeleteAsync(BranchName name, bool purge, CancellationToken cancellationToken) => _remover.DeleteAsync(name, purge, cancellationToken);

    /// <summary>Brings back the branch of this name that was deleted last, under another name when one is given.</summary>
    public Task<BranchResult<Branch>> RestoreAsync(BranchName name, BranchName? newName) => _remover.RestoreAsync(name, newName);

    /// <summary>Restores a dump into a main that follows nothing, and makes a seed of it.</summary>
    /// <param name="onProgress">Called now and then while it goes on.</param>
    public async Task<BranchResult<ImportReport>> ImportAsync(ImportRequest request, Action<ImportProgress> onProgress, CancellationToken cancellationToken)
    {
        if (_main.Import is not { } import)
            return new BranchError(BranchErrorKind.InvalidRequest, "Main follows production, so its data comes from there alone. A server with branching.following: none, on a state folder of its own, takes imports.");
        return _main.WhyNoNow() is { } why ? new BranchError(BranchErrorKind.NotReady, why)
            : await import.RunAsync(request, onProgress, cancellationToken);
    }

    /// <summary>Wakes the branch when it sleeps and counts a connection on it until the lease is disposed.</summary>
    public async Task<BranchResult<ComputeLease>> ConnectAsync(BranchName name, CancellationToken cancellationToken)
    {
        var found = Find(name.ToString());
        if (found.Value is not { } branch)
            return found.Error!;
        return (_quota.WhyNot(branch) ?? _fullPool.WhyNot(branch)) is { } over ? over : await _computes.AcquireAsync(branch, cancellationToken);
    }

    /// <summary>Why no client may be this role of a branch; null when one may.</summary>
    public BranchError? WhyNot(string role) => _options.OwnerRights != OwnerRights.Superuser && role == _superuser
        ? new BranchError(BranchErrorKind.Protected, $"Nobody is {role} in a branch, since branching.owner-rights is 'application'. Connect as {_options.OwnerRole}.")
        : null;

    /// <summary>The log of a branch's Postgres; empty until its first start.</summary>
    public ComputeLog LogOf(Branch branch) => _computes.LogOf(branch.Number);

    /// <summary>How often a branch's Postgres has ended by itself since this process began.</summary>
    public int CrashesOf(Branch branch) => _computes.CrashesOf(branch.Number);

    /// <summary>Puts to sleep every branch that nobody has used for <paramref name="idleFor"/>.</summary>
    public Task StopIdleAsync(TimeSpan idleFor, CancellationToken cancellationToken) => _computes.StopIdleAsync(idleFor, cancellationToken);

    /// <summary>The password of a branch's owner role, derived from the key in the state folder; nothing stores it.</summary>
    public string PasswordOf(Branch branch) => _passwords.Of(branch);

    /// <summary>Exclusive and shared bytes of each branch and of main; those of what runs may be two seconds old.</summary>
    /// <param name="whole">Waits for all; else, of very many, some are missing or older.</param>
    public async Task<PoolUsage> MeasureAsync(bool whole, CancellationToken cancellationToken)
    {
        var branches = List();
        var volumes = branches.ToDictionary(branch => Branch.VolumeOf(branch.Number), branch => branch.Name.ToString());
        var measured = await _meter.MeasureAsync(branches, whole, cancellationToken);
        var (used, max, _) = _pool.Space();
        return new PoolUsage(
            measured.GetValueOrDefault(MainKeeper.Volume)?.TotalBytes ?? 0,
            measured.Where(pair => volumes.ContainsKey(pair.Key)).ToDictionary(pair => volumes[pair.Key], pair => pair.Value),
            used, max);
    }

    /// <summary>Exclusive and shared bytes of one branch as they are now; null when it is gone.</summary>
    public async Task<BranchUsage?> MeasureAsync(Branch branch, CancellationToken cancellationToken)
    {
        var volume = Branch.VolumeOf(branch.Number);
        return (await _pool.Driver.MeasureAsync([volume], cancellationToken)).GetValueOrDefault(volume);
    }

    /// <summary>Ends everything that runs, in order, and closes the pool; the data stays.</summary>
    public async ValueTask DisposeAsync()
    {
        await _computes.DisposeAsync();
        _usage.TrySave();
        await _main.DisposeAsync();
        _catalog.Dispose();
        await _pool.CloseAsync();
    }

    BranchResult<Branch> Change(BranchName name, Func<Branch, BranchResult<Branch>> change)
    {
        var changed = _registry.Change(name.ToString(), change);
        if (changed.Value is { } branch)
            _computes.Update(branch);
        return Described(changed);
    }

    BranchResult<Branch> Described(BranchResult<Branch> result) => result.Value is { } branch ? _computes.Describe(branch) : result;
}
