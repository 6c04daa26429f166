using Microsoft.Extensions.Logging.Abstractions;
using Tributary.Branching;
using Tributary.Contracts;
using Tributary.Streaming;
using Tributary.Streaming.Hosting;

namespace Tributary.Server.Hosting;

/// <summary>
/// Takes back all that a server has made, on production, at the targets and here:
/// <code>
/// 1. lock the state folder      the server must be stopped
/// 2. take back the streams      slots and publications; what was copied stays at the targets
/// 3. drop main's slot           a slot that nobody reads keeps production's log for ever
/// 4. remove pool and catalog
/// 5. remove the state folder    when nothing of anyone else is in it
/// </code>
/// A step that fails ends the removal; it may be run again. Production goes first: what is left there does harm, what is left here takes space.
/// </summary>
public static class ServerRemoval
{
    /// <param name="localOnly">Leaves production and the targets as they are, for when they are gone for good.</param>
    public static async Task<(RemovalResponse? Removed, OperationFailure? Failure)> RunAsync(
        TributaryConfiguration configuration, bool localOnly, TimeProvider timeProvider, CancellationToken cancellationToken)
    {
        var removed = new List<string>();
        var state = configuration.StateDirectory;

        // Step 1: lock the state folder.
        using var stateLock = StateLock.TryTake(state, out var held);
        if (stateLock is null)
            return (null, held);

        // Step 2: take back the streams.
        foreach (var stream in localOnly ? [] : configuration.Streams)
        {
            var (taken, failure) = await new StreamRunner(configuration.Production, stream, timeProvider, NullLoggerFactory.Instance).DestroyAsync(dropCopied: false, cancellationToken);
            if (failure is not null)
                return (null, failure with { Hint = WithoutProduction });
            removed.AddRange(taken!.Removed);
        }

        RemoveStreamFiles(configuration);

        if (configuration is { FollowsProduction: true, HasCatalog: false, Branching: { } lost } && !localOnly && BranchingRemoval.HasState(lost))
        {
            return (null, new OperationFailure(
                FailureKind.StateUnusable, $"there is a pool in {state} and no catalog, which alone says whether the slot '{lost.SlotName}' on production was made for it",
                "'tributary doctor --repair' makes a catalog from the pool; --local-only removes the pool and leaves production as it is"));
        }

        if (configuration.Branching is { } branching && (configuration.HasCatalog || BranchingRemoval.HasState(branching)))
        {
            // Step 3: drop main's slot.
            if (!localOnly && await DropSlotAsync(branching, removed, cancellationToken) is { } left)
                return (null, left);

            // Step 4: remove pool and catalog.
            if (await BranchingRemoval.RemoveStateAsync(branching, cancellationToken) is { } error)
                return (null, new OperationFailure(FailureKind.StateUnusable, error.Message));
            removed.Add($"pool, catalog and key in {state}");
        }

        // Step 5: remove the state folder.
        File.Delete(configuration.Api.Socket);
        new ServerLog(state).Delete();
        stateLock.Dispose();
        removed.Add(stateLock.RemoveFolder() ? $"the folder {state}" : $"nothing else in {state}: it holds files that tributary did not make");
        return (new RemovalResponse(removed), null);
    }

    // Progress of streams that are no more. Nothing in the spool outlives its stream; a checkpoint of a stream that the configuration does not name stays.
    static void RemoveStreamFiles(TributaryConfiguration configuration)
    {
        var spool = Path.Combine(configuration.StateDirectory, TributaryConfiguration.SpoolFolder);
        if (Directory.Exists(spool))
            Directory.Delete(spool, recursive: true);
        foreach (var stream in configuration.Streams)
        {
            if (stream.Options(configuration.Production).Stdout is { } stdout)
                StreamTeardown.DeleteFiles(stdout);
        }

        var checkpoints = Path.Combine(configuration.StateDirectory, TributaryConfiguration.CheckpointsFolder);
        if (Directory.Exists(checkpoints) && !Directory.EnumerateFileSystemEntries(checkpoints).Any())
            Directory.Delete(checkpoints);
    }

    // What streams into main has made more than a slot.
    static async Task<OperationFailure?> DropSlotAsync(BranchingOptions branching, List<string> removed, CancellationToken cancellationToken)
    {
        try
        {
            if (branching.Following == FollowingMode.Logical && BranchingRemoval.MadeSlot(branching))
            {
                await StreamTeardown.CleanSourceAsync(MainStream.Options(branching), cancellationToken);
                removed.Add($"slot and publication {branching.SlotName} at {branching.Source}");
                return null;
            }
        }
        catch (StreamException exception)
        {
            return new OperationFailure(FailureKind.SourceUnsuitable, exception.Message, WithoutProduction);
        }

        var slot = await BranchingRemoval.DropSlotAsync(branching, cancellationToken);
        if (!slot.Succeeded)
            return new OperationFailure(FailureKind.SourceUnsuitable, slot.Error.Message, WithoutProduction);
        if (slot.Value.Dropped)
            removed.Add($"slot {branching.SlotName} at {branching.Source}");
        return null;
    }

    const string WithoutProduction = "try again when it answers; if it is gone for good, --local-only removes what is on this machine";
}
