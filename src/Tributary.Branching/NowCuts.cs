using Microsoft.Extensions.Logging;
using Npgsql;
using Tributary.Branching.Seeding;
using Tributary.Postgres;
using Tributary.Postgres.Programs;

namespace Tributary.Branching;

/// <summary>
/// Cuts the present: what a branch as of now is made of holds every transaction that production acknowledged before the request.
/// <list type="number">
/// <item>Ask production, or whatever main's source is, for its position. A seed that is at least there is a cut already.</item>
/// <item>Take a spare and wait until it has replayed that position; requests that arrive meanwhile join.</item>
/// <item>Promote and defuse the spare. From here on nobody joins.</item>
/// <item>One request gets the spare itself. Of several, the spare is stopped and becomes the newest seed, which all of them clone.</item>
/// </list>
/// Without spares the cut is a new seed, which costs a recovery. A main that follows nothing needs none: a clone of it is its present.
/// </summary>
internal sealed class NowCuts(
    BranchingOptions options, IMain main, SeedShelf shelf, SeedMaker seeds, MainSeeds mainSeeds, SpareKeeper spares, SpareSettling settling,
    Func<long> freeBytes, TimeProvider time, ILogger logger) : IAsyncDisposable
{
    readonly Lock _lock = new();
    readonly CancellationTokenSource _end = new();
    readonly HashSet<Task> _running = [];
    CutGroup? _open;

    /// <summary>Asks for the present. The request counts from here on; the answer is awaited by <see cref="CutShare.TakeAsync"/>.</summary>
    public CutShare Join()
    {
        lock (_lock)
        {
            if (_open is { } open)
            {
                open.Members++;
                open.Joined++;
                return new CutShare(this, open);
            }

            var group = _open = new CutGroup { Members = 1, Joined = 1 };
            Own(Task.Run(() => RunAsync(group), CancellationToken.None));
            return new CutShare(this, group);
        }
    }

    /// <summary>A member does not want its part any more. A spare that is already its own is discarded.</summary>
    public void Leave(CutGroup group)
    {
        lock (_lock)
        {
            if (group.IsOneMembers)
                Own(DiscardAsync(group));
            else
                group.Members--;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        Task[] running;
        lock (_lock)
            running = [.. _running];
        // The source of the token stays: a request that comes while the server stops still asks it.
        await Task.WhenAll(running);
        settling.Dispose();
    }

    /// <summary>Does in the background what is left to do for a spare that a branch has got.</summary>
    /// <param name="path">Its data.</param>
    /// <param name="settled">Called when the branch outlives the machine's end.</param>
    public void Finish(Spare spare, string path, Action settled)
    {
        lock (_lock)
            Own(settling.RunAsync(spare, path, settled, _end.Token));
    }

    /// <summary>Ends a promoted spare that its only member does not want any more.</summary>
    public Task DiscardAsync(Spare spare) => spares.DiscardAsync(spare);

    async Task DiscardAsync(CutGroup group)
    {
        if ((await group.Result.Task).Value?.Spare is { } spare)
            await spares.DiscardAsync(spare);
    }

    async Task RunAsync(CutGroup group)
    {
        try
        {
            group.Result.SetResult(await CutAsync(group, _end.Token));
        }
        catch (OperationCanceledException)
        {
            group.Result.SetResult(new BranchError(BranchErrorKind.NotReady, "Tributary is being stopped."));
        }
        catch (BranchingException exception)
        {
            group.Result.SetResult(exception.Error);
        }
        catch (NpgsqlException exception)
        {
            group.Result.SetResult(ErrorOf(exception));
        }
        catch (Exception exception) when (exception is StorageException or ChildProcessException or IOException)
        {
            group.Result.SetResult(BranchError.OfStorage(exception));
        }
        catch (Exception exception)
        {
            group.Result.SetException(exception);
        }
        finally
        {
            Close(group);
        }
    }

    BranchError ErrorOf(NpgsqlException exception)
    {
        // Not every message of a server that finds no space says so ("could not write init file").
        if (freeBytes() < BranchRegistry.FreeBytesMin)
            return BranchError.OfFullPool(exception);
        return new BranchError(BranchErrorKind.ComputeFailed, options.SparesWanted == 0
            ? $"Main, or the seed that was being made of it, failed: {exception.Message} Try again; `tributary status` shows how main is."
            : $"The spare failed while it was promoted: {exception.Message} Another one is being made; try again.");
    }

    async Task<BranchResult<Cut>> CutAsync(CutGroup group, CancellationToken cancellationToken)
    {
        // Step 1: the position. Who else comes while the first one's is asked for shares its cut.
        var gathering = Task.Delay(options.NowGatherTime, time, cancellationToken);
        var (seen, moment) = await AskAsync(group, cancellationToken);
        if (shelf.Newest is { } newest && newest.Lsn >= moment.Lsn && CloseIf(group, seen))
            return Shared(newest, moment);
        if (options.SparesWanted == 0)
            return await ColdAsync(group, cancellationToken);

        // Step 2: a spare at that position, for all who have come until then.
        var spare = await spares.TakeAsync(options.NowTimeout, cancellationToken);
        if (spare is null)
            return new BranchError(BranchErrorKind.NotReady, $"No spare became ready within {options.NowTimeout.TotalSeconds:0} s{Because(spares.LastError)}. A branch of the newest seed needs none: tributary branch create --from-seed");
        try
        {
            await gathering;
            while (true)
            {
                if (!await main.ReachAsync(moment, (position, limit, token) => WaitForAsync(spare, position, limit, token), options.NowTimeout, cancellationToken))
                {
                    await spares.DiscardAsync(spare);
                    return new BranchError(BranchErrorKind.NotReady, $"The spare did not reach production's position {moment.Lsn} within {options.NowTimeout.TotalSeconds:0} s; `tributary status` shows how far main is. A branch of the newest seed needs no waiting: tributary branch create --from-seed");
                }

                if (CloseIf(group, seen))
                    break;
                (seen, moment) = await AskAsync(group, cancellationToken);
            }

            // Step 3: promote.
            var started = time.GetTimestamp();
            var lsn = await spare.PromoteAsync(options.NowTimeout, cancellationToken);
            Log.SparePromoted(logger, spare.Number, lsn.ToString(), group.Members, time.GetElapsedTime(started).TotalMilliseconds);

            // Step 4: give it away, or make it a seed.
            if (GiveToOne(group))
            {
                lock (_lock)
                    Own(spare.EnterAsync(cancellationToken));
                return new Cut(null, spare, lsn, moment.At);
            }

            var seed = await seeds.MakeOfSpareAsync(shelf.NextId(), spare, lsn, moment.At, cancellationToken);
            await spares.DiscardAsync(spare);
            await shelf.AddAsync(seed, cancellationToken);
            return Shared(seed, moment);
        }
        catch
        {
            await spares.DiscardAsync(spare);
            throw;
        }
    }

    async Task<bool> WaitForAsync(Spare spare, Lsn position, TimeSpan limit, CancellationToken cancellationToken) =>
        await main.InOwnLogAsync(position, limit, cancellationToken) is { } place && await spare.WaitForAsync(place, limit, cancellationToken);

    // Without a spare: main itself must be there, and a seed of it is the cut.
    async Task<BranchResult<Cut>> ColdAsync(CutGroup group, CancellationToken cancellationToken)
    {
        Close(group);
        var (_, moment) = await AskAsync(group, cancellationToken);
        if (!await main.WaitForAsync(moment.Lsn, options.NowTimeout, cancellationToken))
            return new BranchError(BranchErrorKind.NotReady, $"Main did not reach production's position {moment.Lsn} within {options.NowTimeout.TotalSeconds:0} s; `tributary status` shows how far it is.");
        return Shared(await mainSeeds.AtLeastAsync(moment.Lsn, moment.At, cancellationToken), moment);
    }

    // The number of members is read before the question, so that whoever comes later is not counted as asked for.
    async Task<(int Seen, MomentOfSource Moment)> AskAsync(CutGroup group, CancellationToken cancellationToken)
    {
        int seen;
        lock (_lock)
            seen = group.Joined;
        return (seen, await main.AcknowledgedAsync(cancellationToken));
    }

    static BranchResult<Cut> Shared(SeedStatus seed, MomentOfSource moment) => new Cut(seed, null, seed.Lsn, moment.At);

    // Called under the lock: the task is waited for at the end.
    void Own(Task task)
    {
        _running.Add(task);
        _ = task.ContinueWith(
            done =>
            {
                lock (_lock)
                    _running.Remove(done);
            }, TaskScheduler.Default);
    }

    bool CloseIf(CutGroup group, int seen)
    {
        lock (_lock)
        {
            if (group.Joined != seen)
                return false;
            if (ReferenceEquals(_open, group))
                _open = null;
            return true;
        }
    }

    bool GiveToOne(CutGroup group)
    {
        lock (_lock)
            return group.IsOneMembers = group.Members == 1;
    }

    void Close(CutGroup group)
    {
        lock (_lock)
        {
            if (ReferenceEquals(_open, group))
                _open = null;
        }
    }

    static string Because(string? error) => error is null ? "" : $": {error}";
}
