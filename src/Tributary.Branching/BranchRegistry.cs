using Tributary.Branching.Catalog;

namespace Tributary.Branching;

/// <summary>
/// The branches that there are, in memory and in the catalog. Every change is made under one lock, on disk first, so that two who change one
/// branch at once find each other's work: <see cref="Change(long, Func{Branch, BranchResult{Branch}})"/> hands the change what the branch is by then.
/// </summary>
internal sealed class BranchRegistry
{
    /// <summary>Space that creation leaves free, so that running branches and deletions still have some.</summary>
    public const long FreeBytesMin = 128L << 20;

    readonly BranchingOptions _options;
    readonly BranchCatalog _catalog;
    readonly Func<long> _freeBytes;
    readonly TimeProvider _time;
    readonly Lock _lock = new();
    readonly Dictionary<long, Branch> _branches;
    readonly Dictionary<string, long> _names = new(StringComparer.Ordinal);

    /// <param name="freeBytes">What the pool has free.</param>
    public BranchRegistry(BranchingOptions options, BranchCatalog catalog, Func<long> freeBytes, TimeProvider time)
    {
        (_options, _catalog, _freeBytes, _time) = (options, catalog, freeBytes, time);
        _branches = catalog.Branches().ToDictionary(branch => branch.Id);
        foreach (var branch in _branches.Values.Where(HoldsName))
            _names[branch.Name.ToString()] = branch.Id;
    }

    /// <summary>All in a state, by age.</summary>
    public IReadOnlyList<Branch> In(BranchState state)
    {
        lock (_lock)
            return [.. _branches.Values.Where(branch => branch.State == state).OrderBy(branch => branch.Id)];
    }

    /// <summary>All, whatever their state.</summary>
    public IReadOnlyList<Branch> All()
    {
        lock (_lock)
            return [.. _branches.Values];
    }

    public Branch? ById(long id)
    {
        lock (_lock)
            return _branches.GetValueOrDefault(id);
    }

    /// <summary>Whether clients can use the branch, and it has not been reset since it was looked up.</summary>
    public bool IsCurrent(Branch branch) => ById(branch.Id) is { State: BranchState.Ready } now && now.Number == branch.Number;

    /// <summary>Whether a branch began as this volume.</summary>
    /// <param name="except">A branch that does not count.</param>
    public bool IsBirth(string volume, long? except = null)
    {
        lock (_lock)
            return _branches.Values.Any(branch => branch.Birth == volume && branch.Id != except);
    }

    /// <summary>A branch that clients can use; NotFound with near names in its message.</summary>
    public BranchResult<Branch> Find(string name)
    {
        lock (_lock)
        {
            if (ByName(name) is { State: BranchState.Ready } branch)
                return branch;
            var restorable = _branches.Values.Any(gone => gone.State == BranchState.Deleted && gone.Name.ToString() == name);
            return new BranchError(
                BranchErrorKind.NotFound,
                $"There is no branch '{name}'.{NearNames.Suggest(name, _branches.Values.Where(known => known.State == BranchState.Ready).Select(known => known.Name.ToString()))}"
                + (restorable ? $" A deleted one can be restored: tributary branch restore {name}" : ""));
        }
    }

    /// <summary>The usable branch that a request with this key made; null for none.</summary>
    public Branch? OfKey(string key) => _catalog.BranchOfKey(key) is { } id && ById(id) is { State: BranchState.Ready } branch ? branch : null;

    /// <summary>Takes the name for a branch that is about to be made.</summary>
    public BranchResult<Branch> Reserve(BranchRequest request)
    {
        lock (_lock)
        {
            if ((WhyTaken(request.Name) ?? WhyFull(request.Policy.Owner)) is { } error)
                return error;
            var branch = _catalog.Reserve(request, _time.GetUtcNow());
            _branches[branch.Id] = branch;
            _names[branch.Name.ToString()] = branch.Id;
            return branch;
        }
    }

    /// <summary>Changes a branch, in whatever state it is; the name may change too. A refusal of <paramref name="change"/> changes nothing.</summary>
    public BranchResult<Branch> Change(long id, Func<Branch, BranchResult<Branch>> change)
    {
        lock (_lock)
        {
            if (!_branches.TryGetValue(id, out var before))
                return new BranchError(BranchErrorKind.NotFound, "The branch has just been deleted.");
            var changed = change(before);
            if (changed.Value is not { } after)
                return changed;
            if (HoldsName(after) && WhyNotBecome(before, after) is { } error)
                return error;
            _catalog.Save(after);
            _branches[id] = after;
            if (_names.GetValueOrDefault(before.Name.ToString()) == id)
                _names.Remove(before.Name.ToString());
            if (HoldsName(after))
                _names[after.Name.ToString()] = id;
            return after;
        }
    }

    /// <summary>Changes a branch that clients can use.</summary>
    public BranchResult<Branch> Change(string name, Func<Branch, BranchResult<Branch>> change)
    {
        var found = Find(name);
        return found.Value is { } branch
            ? Change(branch.Id, current => current.State == BranchState.Ready ? change(current) : new BranchError(BranchErrorKind.NotFound, $"The branch {name} has just been deleted."))
            : found;
    }

    /// <summary>Nothing of the branch is left; answers whether it was known until now.</summary>
    public bool Remove(long id)
    {
        lock (_lock)
        {
            _catalog.Remove(id);
            if (!_branches.Remove(id, out var branch))
                return false;
            if (_names.GetValueOrDefault(branch.Name.ToString()) == id)
                _names.Remove(branch.Name.ToString());
            return true;
        }
    }

    // The name of one that is deleted or being removed is free.
    static bool HoldsName(Branch branch) => branch.State is BranchState.Creating or BranchState.Ready;

    // Called under the lock.
    Branch? ByName(string name) => _names.TryGetValue(name, out var id) ? _branches[id] : null;

    // Called under the lock. One that exists stays, whatever the limits are by now.
    BranchError? WhyNotBecome(Branch before, Branch after)
    {
        var isBack = !HoldsName(before);
        if ((isBack || after.Name != before.Name) && WhyTaken(after.Name) is { } taken)
            return taken;
        return isBack ? WhyFull(after.Policy.Owner) : after.Policy.Owner != before.Policy.Owner ? WhyFull(after.Policy.Owner, isNew: false) : null;
    }

    // Called under the lock.
    BranchError? WhyTaken(BranchName name) => ByName(name.ToString()) is not { } existing ? null : new BranchError(BranchErrorKind.AlreadyExists, existing.State == BranchState.Creating
        ? $"A branch '{name}' is being made already. Choose another name."
        : $"There is a branch '{name}' already. Choose another name, or delete it: tributary branch delete {name}");

    // Why there cannot be another branch, or not another one of this owner. Called under the lock.
    BranchError? WhyFull(string? owner, bool isNew = true)
    {
        var living = _branches.Values.Where(HoldsName).ToList();
        if (isNew && living.Count >= _options.BranchesMax)
            return new BranchError(BranchErrorKind.LimitReached, $"There are {_options.BranchesMax} branches, as many as branching.branches-max allows. Delete one first.");
        if (owner is not null && _options.BranchesPerOwnerMax is { } most && living.Count(branch => branch.Policy.Owner == owner) >= most)
            return new BranchError(BranchErrorKind.LimitReached, $"{owner} has {most} branches, as many as branching.branches-per-owner-max allows. Delete one first.");
        return isNew && _freeBytes() < FreeBytesMin
            ? new BranchError(BranchErrorKind.PoolFull, $"The pool has less than {FreeBytesMin >> 20} MiB free, which are kept back for running branches. Delete branches, or enlarge branching.pool-size.")
            : null;
    }
}
