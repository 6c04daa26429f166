using Microsoft.Extensions.Logging;
using Tributary.Branching.Catalog;
using Tributary.Branching.Compute;
using Tributary.Branching.Seeding;
using Tributary.Postgres.Programs;

namespace Tributary.Branching;

/// <summary>
/// Makes branches, and makes them anew.
/// <list type="number">
/// <item>Reserve: the name and a number, in state Creating, are on disk. A reset takes a number alone.</item>
/// <item>Cut: the moment that the branch is to be of, as a seed, a spare that has been promoted there, or a branch to fork.</item>
/// <item>Put: the number's volume holds that moment.</item>
/// <item>Ready: the branch on disk has the volume, and is visible.</item>
/// </list>
/// What a crash interrupts before the last step is undone at the next start: a volume that no branch in the catalog has is removed.
/// </summary>
internal sealed class BranchMaker(
    BranchRegistry registry, BranchCatalog catalog, IStorageDriver storage, BranchComputes computes, MainKeeper main, TimeProvider time, ILogger logger)
{
    public async Task<BranchResult<Branch>> CreateAsync(BranchRequest request, CancellationToken cancellationToken)
    {
        if (request.IdempotencyKey is { } key && registry.OfKey(key) is { } before)
            return before;
        if (request.Policy.Problem() is { } problem)
            return new BranchError(BranchErrorKind.InvalidRequest, problem);
        var started = time.GetTimestamp();
        var parent = request.Origin == BranchOrigin.Branch ? registry.Find(request.Parent ?? "") : default;
        if (parent.Error is { } noParent)
            return noParent;

        // The request counts from here on: before the name is on disk, so that a burst is one cut.
        using var origin = Open(request.Origin, parent.Value, request.Point);
        if (origin.Refusal is { } refusal)
            return refusal;

        // Step 1: reserve.
        var reserved = registry.Reserve(request);
        if (reserved.Value is not { } branch)
            return reserved;
        var made = await MakeAsync(branch, branch.Number, origin, cancellationToken);
        if (made.Value is not { } whole)
            return made;
        Log.BranchCreated(logger, whole.Name.ToString(), Describe(whole), time.GetElapsedTime(started).TotalMilliseconds);
        return computes.Describe(whole);
    }

    /// <summary>Gives the branch another volume; its name, password and policy stay, its sessions are cut.</summary>
    public async Task<BranchResult<Branch>> ResetAsync(BranchName name, ResetTarget target, CancellationToken cancellationToken)
    {
        var found = registry.Find(name.ToString());
        if (found.Value is not { } branch)
            return found;
        if (branch.Policy.IsProtected)
            return Protected(name);
        var started = time.GetTimestamp();
        using var origin = target == ResetTarget.Birth ? OpenBirth(branch)
            : branch.ParentId is not { } parentId ? Open(BranchOrigin.Now)
            : registry.ById(parentId) is { State: BranchState.Ready } parent ? Open(BranchOrigin.Branch, parent)
            : OriginShare.Refused(new BranchError(BranchErrorKind.NotFound, $"The parent of {name} has been deleted. Reset it to what it was at first: tributary branch reset {name} --to birth"));
        if (origin.Refusal is { } refusal)
            return refusal;

        // Step 1: reserve a number.
        var made = await MakeAsync(branch, catalog.NextNumber(), origin, cancellationToken);
        if (made.Value is not { } whole)
            return made;
        try
        {
            await RemoveVolumesAsync(branch, keepBirth: branch.Birth == whole.Birth);
        }
        catch (Exception exception) when (Obstacle.Is(exception))
        {
            // The branch is what was asked for; what it was before is removed by the next start.
            Log.RemovalFailed(logger, name.ToString(), exception);
        }

        Log.BranchReset(logger, name.ToString(), Describe(whole), time.GetElapsedTime(started).TotalMilliseconds);
        return computes.Describe(whole);
    }

    /// <summary>Ends the server of a branch that has these volumes no more, and removes them.</summary>
    public async Task RemoveVolumesAsync(Branch branch, bool keepBirth)
    {
        await computes.RemoveAsync(branch.Number);
        await storage.DeleteAsync(Branch.VolumeOf(branch.Number), CancellationToken.None);
        // A seed that is on the shelf is removed from there.
        if (!keepBirth && branch.Birth is { } birth && !main.IsSeed(birth) && !registry.IsBirth(birth, except: branch.Id))
            await storage.DeleteAsync(birth, CancellationToken.None);
    }

    public static BranchError Protected(BranchName name) =>
        new(BranchErrorKind.Protected, $"The branch {name} is protected. Take the protection away first: tributary branch unprotect {name}");

    OriginShare Open(BranchOrigin origin, Branch? parent = null, BranchPoint? point = null)
    {
        switch (origin)
        {
            case BranchOrigin.Branch:
                return OriginShare.Of(new Cut(null, null, parent!.Lsn, parent.DataTime) { Fork = parent });
            case BranchOrigin.Point:
                return OriginShare.Of(new Cut(null, null, default, default) { Point = point });
            case BranchOrigin.Seed:
                return main.UseNewestSeed() is { } use
                    ? OriginShare.Of(new Cut(use.Seed, null, use.Seed.Lsn, use.Seed.DataTime), use)
                    : OriginShare.Refused(new BranchError(BranchErrorKind.NotReady, main.WhyNoSeed()));
            default:
                return main.WhyNoNow() is { } why ? OriginShare.Refused(new BranchError(BranchErrorKind.NotReady, why)) : OriginShare.Of(main.Cuts.Join());
        }
    }

    // What was production's present at first is by now its past.
    OriginShare OpenBirth(Branch branch) => branch.Birth is { } birth
        ? OriginShare.Of(new Cut(null, null, branch.Lsn, branch.DataTime) { Volume = birth })
        : branch.ParentId is null && main.Past.IsOn ? Open(BranchOrigin.Point, point: BranchPoint.At(branch.Lsn))
        : OriginShare.Refused(new BranchError(
            BranchErrorKind.InvalidRequest,
            $"What {branch.Name} was at first is not kept. Reset it to the present of its parent: tributary branch reset {branch.Name}"));

    async Task<BranchResult<Branch>> MakeAsync(Branch branch, long number, OriginShare origin, CancellationToken cancellationToken)
    {
        Spare? spare = null;
        var isReady = false;
        try
        {
            // Step 2: cut.
            var answer = await origin.TakeAsync(cancellationToken);
            if (answer.Value is not { } cut)
                return answer.Error!;
            spare = cut.Spare;
            number = spare?.Number ?? number;
            using var use = cut.Seed is not { } seed ? null
                : main.UseSeed(seed) ?? throw new StorageException($"The seed {seed.Id} has been removed in the meantime; try again.");

            // Step 3: put.
            using var place = spare is null ? null : await computes.TakePlaceAsync(number, cancellationToken);
            var put = await PutAsync(cut, use, number, branch, staysAwake: place is not null, cancellationToken);
            if (put.Value is not { } whole)
                return put.Error!;
            cut = whole;

            // Step 4: ready.
            cancellationToken.ThrowIfCancellationRequested();
            var ready = MakeReady(branch, number, cut, BirthOf(cut, use, number));
            isReady = ready.Succeeded;
            // What was decided about it since the beginning is not in its server's settings yet.
            if (ready.Value is { } now)
                computes.Update(now);
            if (isReady && spare is { IsGivenAway: true })
                main.Cuts.Finish(spare, storage.PathOf(spare.Volume), () => Settle(branch.Id, number));
            return ready;
        }
        catch (Exception exception) when (IsExpected(exception))
        {
            return BranchError.OfStorage(exception);
        }
        finally
        {
            if (!isReady)
                await UndoAsync(branch, number, spare);
        }
    }

    // Answers the cut with what is only known now. A spare runs, and goes to sleep where too many do.
    async Task<BranchResult<Cut>> PutAsync(Cut cut, SeedUse? use, long number, Branch branch, bool staysAwake, CancellationToken cancellationToken)
    {
        var volume = Branch.VolumeOf(number);
        if (cut.Point is { } point)
        {
            var recovered = await main.Past.CutAsync(point, number, cancellationToken);
            if (recovered.Value is not { } past)
                return recovered;
            await KeepBirthAsync(volume, BirthOf(past, use, number), cancellationToken);
            await FlushCloneAsync(volume, cancellationToken);
            return past;
        }

        if (cut.Fork is { } parent)
        {
            if (await computes.ForkAsync(parent, volume, cancellationToken) is { } notForked)
                return notForked;
            DataDirectory.StripFork(storage.PathOf(volume));
            await KeepBirthAsync(volume, BirthOf(cut, use, number), cancellationToken);
            await FlushCloneAsync(volume, cancellationToken);
        }
        else if ((use?.Volume ?? cut.Volume) is { } frozen)
        {
            await storage.CloneAsync(frozen, volume, cancellationToken);
            await FlushCloneAsync(volume, cancellationToken);
        }
        else if (cut.Spare is { } spare && (!staysAwake || branch.Policy.Settings.Count > 0 || branch.Policy.Durability == Durability.Durable))
        {
            // The spare runs with the settings of any branch; one that has its own is started with them by its first client.
            await spare.StopAsync(cancellationToken);
            await spare.DisposeAsync();
            await PoolFlush.FlushAsync(storage.PathOf(volume), cancellationToken);
        }

        return cut;
    }

    // Where a clone is many files they are in memory still, and after a loss of power the catalog would tell of a branch that lacks some of them.
    Task FlushCloneAsync(string volume, CancellationToken cancellationToken) =>
        storage.ClonesAreAtomic ? Task.CompletedTask : PoolFlush.FlushAsync(storage.PathOf(volume), cancellationToken);

    async Task KeepBirthAsync(string volume, string? birth, CancellationToken cancellationToken)
    {
        if (birth is null)
            return;
        await storage.CloneAsync(volume, birth, cancellationToken);
        await storage.FreezeAsync(birth, cancellationToken);
    }

    // Where the first moment is kept: a copy that shares nothing would cost as much as the branch.
    string? BirthOf(Cut cut, SeedUse? use, long number) =>
        use?.Volume ?? cut.Volume ?? ((cut.Fork is not null || cut.Point is not null) && storage.ClonesShareBytes ? Branch.BirthOf(number) : null);

    BranchResult<Branch> MakeReady(Branch reserved, long number, Cut cut, string? birth)
    {
        // The server is the branch's before anybody finds the branch: a client would start another one on the same data.
        var adopts = cut.Spare is { IsEnded: false };
        var live = computes.Describe(reserved);
        var whole = reserved with { Number = number, Usage = live.Usage, LastUsedAt = live.LastUsedAt };
        if (adopts)
            computes.Adopt(whole, cut.Spare!.GiveAway());
        else
            computes.StartAhead(whole);
        return registry.Change(reserved.Id, current =>
        {
            if (current.State != reserved.State || current.Number != reserved.Number)
                return new BranchError(BranchErrorKind.NotFound, $"The branch {reserved.Name} has been deleted or reset in the meantime.");
            var isNew = current.State == BranchState.Creating;
            return current with
            {
                State = BranchState.Ready,
                Number = number,
                SeedId = cut.Seed?.Id ?? (cut.Volume is null ? "" : current.SeedId),
                Lsn = cut.Lsn,
                DataTime = cut.DataTime,
                Birth = birth,
                ParentId = isNew ? cut.Fork?.Id : current.ParentId,
                UnsettledBoot = adopts ? PoolFlush.Boot : null,
                CreatedAt = isNew ? time.GetUtcNow() : current.CreatedAt,
                ResetAt = isNew ? null : time.GetUtcNow(),
                Usage = live.Usage,
                LastUsedAt = live.LastUsedAt,
            };
        });
    }

    void Settle(long id, long number) => registry.Change(id, current => current.Number == number
        ? current with { UnsettledBoot = null }
        : new BranchError(BranchErrorKind.NotFound, "The branch has been reset in the meantime."));

    async Task UndoAsync(Branch branch, long number, Spare? spare)
    {
        try
        {
            if (number != branch.Number || branch.State == BranchState.Creating)
                await computes.RemoveAsync(number);
            if (spare is not null)
                await main.Cuts.DiscardAsync(spare);
            await storage.DeleteAsync(Branch.VolumeOf(number), CancellationToken.None);
            await storage.DeleteAsync(Branch.BirthOf(number), CancellationToken.None);
        }
        catch (Exception exception) when (Obstacle.Is(exception))
        {
            Log.RemovalFailed(logger, branch.Name.ToString(), exception);
            // Its name is free, and the removal is tried again. What a reset has left is removed by the next start.
            if (branch.State == BranchState.Creating)
                registry.Change(branch.Id, static current => current with { State = BranchState.Deleting });
            return;
        }

        if (branch.State == BranchState.Creating)
            registry.Remove(branch.Id);
    }

    static bool IsExpected(Exception exception) => exception is StorageException or ChildProcessException or IOException or UnauthorizedAccessException;

    string Describe(Branch branch) => branch.SeedId.Length > 0 ? $"seed {branch.SeedId}"
        : branch.ParentId is { } parent ? $"branch {registry.ById(parent)?.Name.ToString() ?? "(deleted)"}"
        : $"production at {branch.Lsn}";
}

/// <summary>What a branch is made of, before it is known which moment that is. What is not taken until it is disposed is given back.</summary>
internal sealed class OriginShare : IDisposable
{
    readonly Cut? _cut;
    readonly CutShare? _share;
    readonly SeedUse? _use;

    OriginShare(Cut? cut, CutShare? share, SeedUse? use, BranchError? refusal) => (_cut, _share, _use, Refusal) = (cut, share, use, refusal);

    /// <summary>Why there is nothing to make a branch of; null when there is.</summary>
    public BranchError? Refusal { get; }

    public static OriginShare Refused(BranchError error) => new(null, null, null, error);

    public static OriginShare Of(CutShare share) => new(null, share, null, null);

    public static OriginShare Of(Cut cut, SeedUse? use = null) => new(cut, null, use, null);

    public async Task<BranchResult<Cut>> TakeAsync(CancellationToken cancellationToken) =>
        _cut is { } cut ? cut : await _share!.TakeAsync(cancellationToken);

    public void Dispose()
    {
        _share?.Dispose();
        _use?.Dispose();
    }
}
