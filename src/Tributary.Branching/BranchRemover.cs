using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Tributary.Branching.Compute;

namespace Tributary.Branching;

/// <summary>
/// Ends branches.
/// <list type="number">
/// <item>Mark: the branch on disk is Deleted, or Deleting when it is not to be kept; nobody finds it any more.</item>
/// <item>Stop its server, in order when it may come back.</item>
/// <item>After the grace period, or at once when it is not kept: remove its volumes, then its row.</item>
/// </list>
/// A crash leaves a row in state Deleting or Deleted; the next start goes on from there. So does a volume that cannot be removed, which is tried
/// again now and then and keeps nothing else from going on.
/// </summary>
internal sealed class BranchRemover(
    BranchingOptions options, BranchRegistry registry, BranchMaker maker, IStorageDriver storage, BranchComputes computes, GoneAccounts accounts,
    Func<long> freeBytes, TimeProvider time, ILogger logger)
{
    /// <summary>How often ends of lives and of grace periods are looked for; they are exact to this.</summary>
    static readonly TimeSpan CheckInterval = TimeSpan.FromSeconds(1);

    /// <summary>How often a removal that has failed is tried again: what keeps a volume is a person's to end, and each try is a line in the log.</summary>
    static readonly TimeSpan RetryInterval = TimeSpan.FromMinutes(1);

    readonly ConcurrentDictionary<long, Lazy<Task>> _removals = new();
    long _lastRetry = time.GetTimestamp();

    /// <param name="purge">It cannot be restored, and its space is free at once.</param>
    public async Task<BranchResult<Branch>> DeleteAsync(BranchName name, bool purge, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var found = registry.Find(name.ToString());
        return found.Value is { } branch ? await EndAsync(branch.Id, name, purge, static _ => true) : found;
    }

    // By its id: since the caller has looked, another branch may have got the name.
    async Task<BranchResult<Branch>> EndAsync(long id, BranchName name, bool purge, Predicate<Branch> holds)
    {
        var isKept = !purge && options.RestoreGrace > TimeSpan.Zero;

        // Step 1: mark.
        var marked = registry.Change(id, current =>
        {
            var live = computes.Describe(current);
            if (current.State != BranchState.Ready || current.Name != name || !holds(live))
                return new BranchError(BranchErrorKind.NotFound, $"The branch {name} has just been deleted or changed.");
            return current.Policy.IsProtected ? BranchMaker.Protected(name) : current with
            {
                State = isKept ? BranchState.Deleted : BranchState.Deleting,
                DeletedAt = time.GetUtcNow(),
                Usage = live.Usage,
                LastUsedAt = live.LastUsedAt,
            };
        });
        if (marked.Value is not { } branch)
            return marked;
        try
        {
            // Step 2: stop. Step 3: remove.
            if (isKept)
                await computes.EndAsync(branch.Number);
            else
                await FinishAsync(branch);
        }
        catch (Exception exception) when (Obstacle.Is(exception))
        {
            return new BranchError(BranchErrorKind.StorageFailed, $"{exception.Message} The branch is marked for deletion, which is tried again every minute.");
        }

        Log.BranchDeleted(logger, name.ToString());
        return branch;
    }

    /// <summary>Brings back the branch of this name that was deleted last.</summary>
    /// <param name="newName">When the name has been taken meanwhile; null for the one that it had.</param>
    public async Task<BranchResult<Branch>> RestoreAsync(BranchName name, BranchName? newName)
    {
        var deleted = registry.In(BranchState.Deleted).Where(branch => branch.Name == name).MaxBy(branch => branch.DeletedAt);
        if (deleted is null)
        {
            return new BranchError(BranchErrorKind.NotFound, options.RestoreGrace > TimeSpan.Zero
                ? $"No deleted branch '{name}' is kept; each is for {options.RestoreGrace}. 'tributary branch list --deleted' shows those that are."
                : "Deleted branches are not kept, since branching.restore-grace is 0.");
        }

        // Its server may be ending still; a second one must not begin before.
        await computes.EndAsync(deleted.Number);
        var restored = registry.Change(deleted.Id, current => current.State != BranchState.Deleted
            ? new BranchError(BranchErrorKind.NotFound, $"The deleted branch {name} has just been removed.")
            : current with
            {
                State = BranchState.Ready,
                Name = newName ?? name,
                DeletedAt = null,
                // A life that has ended would end again at once; whoever restores a branch wants it.
                Policy = current.ExpiresAt <= time.GetUtcNow() ? current.Policy with { Ttl = null } : current.Policy,
            });
        return restored.Value is { } branch ? computes.Describe(branch) : restored;
    }

    /// <summary>Ends what has lived long enough until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(CheckInterval, time);
        while (await timer.WaitForNextTickAsync(cancellationToken))
        {
            try
            {
                await ExpireAsync(cancellationToken);
                await RemoveOldAsync();
                await RetryAsync();
            }
            catch (Exception exception) when (Obstacle.Is(exception))
            {
                Log.RemovalsFailed(logger, exception);
            }
        }
    }

    /// <summary>Undoes and finishes what a crash has interrupted, and removes what it has left.</summary>
    public async Task ReconcileAsync(CancellationToken cancellationToken)
    {
        foreach (var branch in registry.All())
        {
            if (branch.State is BranchState.Creating or BranchState.Deleting)
                Log.Reconciled(logger, branch.Name.ToString());
            else if (branch.UnsettledBoot is { } boot && boot != PoolFlush.Boot)
                Log.BranchLost(logger, branch.Name.ToString());
            else
                continue;
            await TryFinishAsync(branch);
        }

        await SettleAsync(cancellationToken);
        var known = registry.All().SelectMany(branch => new[] { Branch.VolumeOf(branch.Number), branch.Birth }).ToHashSet(StringComparer.Ordinal);
        foreach (var folder in new[] { "branches", Branch.BirthsFolder })
            await storage.RemoveUnknownAsync(folder, known.Contains, logger, cancellationToken);
        computes.RemoveOtherFolders(registry.All().Select(branch => branch.Number));
    }

    async Task SettleAsync(CancellationToken cancellationToken)
    {
        var unsettled = registry.All().Where(branch => branch.UnsettledBoot is not null).ToList();
        if (unsettled.Count == 0)
            return;
        await PoolFlush.FlushAsync(storage.PathOf(""), cancellationToken);
        foreach (var branch in unsettled)
            registry.Change(branch.Id, current => current with { UnsettledBoot = null });
    }

    async Task ExpireAsync(CancellationToken cancellationToken)
    {
        foreach (var branch in registry.In(BranchState.Ready).Where(branch => HasExpired(computes.Describe(branch))))
        {
            cancellationToken.ThrowIfCancellationRequested();
            // Those before it have taken their time to stop: its life may have been prolonged, or somebody be in it.
            if ((await EndAsync(branch.Id, branch.Name, purge: false, HasExpired)).Succeeded)
                Log.BranchExpired(logger, branch.Name.ToString());
        }
    }

    bool HasExpired(Branch branch) => branch.Policy is { Ttl: not null, IsProtected: false } && branch.ExpiresAt <= time.GetUtcNow()
        && (branch.Policy.TtlFrom != TtlStart.LastUse || branch.Connections == 0);

    // Those whose grace period is over; when space is short, the oldest before that.
    async Task RemoveOldAsync()
    {
        var deleted = registry.In(BranchState.Deleted).OrderBy(branch => branch.DeletedAt).ToList();
        foreach (var branch in deleted.Where((branch, index) =>
            branch.DeletedAt + options.RestoreGrace <= time.GetUtcNow() || index < deleted.Count - options.DeletedKeptMax || (index == 0 && freeBytes() < 2 * BranchRegistry.FreeBytesMin)))
        {
            var marked = registry.Change(branch.Id, current => current.State == BranchState.Deleted
                ? current with { State = BranchState.Deleting }
                : new BranchError(BranchErrorKind.NotFound, $"The branch {branch.Name} has been restored."));
            if (marked.Value is { } old)
                await TryFinishAsync(old);
        }
    }

    async Task RetryAsync()
    {
        if (time.GetElapsedTime(_lastRetry) < RetryInterval)
            return;
        _lastRetry = time.GetTimestamp();
        foreach (var branch in registry.In(BranchState.Deleting))
            await TryFinishAsync(branch);
    }

    // One volume that cannot be removed keeps no other from it, nor the whole of Tributary from its start.
    async Task TryFinishAsync(Branch branch)
    {
        try
        {
            await FinishAsync(branch);
        }
        catch (Exception exception) when (Obstacle.Is(exception))
        {
            Log.RemovalFailed(logger, branch.Name.ToString(), exception);
            registry.Change(branch.Id, static current => current with { State = BranchState.Deleting });
        }
    }

    // Whoever deletes it and whoever tries again are one.
    async Task FinishAsync(Branch branch)
    {
        var removal = _removals.GetOrAdd(branch.Id, _ => new Lazy<Task>(() => RemoveAsync(branch)));
        try
        {
            await removal.Value;
        }
        finally
        {
            _removals.TryRemove(KeyValuePair.Create(branch.Id, removal));
        }
    }

    async Task RemoveAsync(Branch branch)
    {
        await maker.RemoveVolumesAsync(branch, keepBirth: false);
        // One that was never usable has used nothing, and one that somebody else has removed meanwhile is counted.
        if (registry.Remove(branch.Id) && branch.State != BranchState.Creating)
            accounts.Add(branch);
    }
}
