using Npgsql;
using Tributary.Streaming.Checkpoints;
using Tributary.Streaming.Copying;
using Tributary.Streaming.Copying.Ddl;
using Tributary.Streaming.Targets.Postgres;

namespace Tributary.Streaming.Hosting;

/// <summary>Takes back what a stream has made, and nothing else. It may be called again after a failure in the middle.</summary>
public static class StreamTeardown
{
    /// <summary>Drops slot and publication at the source, and the progress at the target. The stream must be stopped.</summary>
    /// <param name="dropCopied">Also drops every table and other object that the copy made in the target; otherwise they stay as they are.</param>
    /// <exception cref="StreamException">
    /// Kind Fenced: the stream runs. Kind Configuration: the source has a slot of the stream's name, and the target does not know the stream.
    /// Kind Source, Target: that side does not answer or refuses.
    /// </exception>
    public static async Task DestroyAsync(StreamOptions options, bool dropCopied, CancellationToken cancellationToken)
    {
        var side = StreamErrorKind.Target;
        try
        {
            if (options.Stdout is { } stdout)
            {
                using var checkpoints = new CheckpointFile(stdout.CheckpointFile, options.Name);
                var saved = checkpoints.Open();
                side = StreamErrorKind.Source;
                await CleanSourceAsync(options, saved?.SlotName, cancellationToken);
                DeleteFiles(stdout);
                return;
            }

            // Step 1: the target says which slot is this stream's; another stream of the same name may have another target.
            await using var target = await SessionSettings.OpenAsync(SessionSettings.ConnectionString(options.Target, "tributary destroy"), cancellationToken);
            if (!await ProgressTable.TryLockAsync(target, options.Name, cancellationToken))
                throw ProgressTable.Fenced(options.Name);
            await ProgressTable.CreateAsync(target, cancellationToken);
            var slot = await ProgressTable.SlotNameAsync(target, options.Name, cancellationToken);

            // Step 2: the slot before all else, since left alone it would keep the source's log for ever.
            side = StreamErrorKind.Source;
            await CleanSourceAsync(options, slot, cancellationToken);

            // Step 3: what the target keeps.
            side = StreamErrorKind.Target;
            if (dropCopied)
                await CopiedObjects.DropAsync(target, options.Name, cancellationToken);
            await ProgressTable.DeleteAsync(target, options.Name, cancellationToken);
        }
        catch (Exception exception) when (exception is NpgsqlException or IOException or TimeoutException)
        {
            var place = side == StreamErrorKind.Source ? $"source {options.Source}" : $"target {options.TargetName}";
            throw new StreamException(
                side, $"The stream '{options.Name}' could not be taken back at the {place}: {LostLink.Describe(exception)} Try again when it answers. If it is gone for good, end the slot at the source by hand: SELECT pg_drop_replication_slot('{options.SlotName}');", exception);
        }
    }

    /// <summary>Drops what a stream has made at the source, for a target that is gone or goes with all that is in it. It may be called again.</summary>
    /// <exception cref="StreamException">Kind Fenced: the stream runs. Kind Source: the source does not answer or refuses.</exception>
    public static async Task CleanSourceAsync(StreamOptions options, CancellationToken cancellationToken)
    {
        try
        {
            await CleanSourceAsync(options, options.SlotName, cancellationToken);
        }
        catch (Exception exception) when (exception is NpgsqlException or IOException or TimeoutException)
        {
            throw new StreamException(
                StreamErrorKind.Source, $"The slot '{options.SlotName}' and the publication '{options.PublicationName}' could not be dropped at the source {options.Source}: {LostLink.Describe(exception)}", exception);
        }
    }

    /// <summary>Deletes what a stream to standard output keeps on this machine; it must be stopped.</summary>
    public static void DeleteFiles(StdoutOptions stdout)
    {
        CheckpointFile.Delete(stdout.CheckpointFile);
        File.Delete(stdout.ShapesFile);
    }

    static async Task CleanSourceAsync(StreamOptions options, string? slot, CancellationToken cancellationToken)
    {
        await using var source = await SessionSettings.OpenAsync(SessionSettings.ConnectionString(options.Source, "tributary destroy"), cancellationToken);
        await DropSlotAsync(source, options, slot, cancellationToken);
        await Publication.DropOwnAsync(source, options, cancellationToken);
        await DdlCapture.RemoveAsync(source, slot ?? options.SlotName, cancellationToken);
    }

    static async Task DropSlotAsync(NpgsqlConnection source, StreamOptions options, string? known, CancellationToken cancellationToken)
    {
        if (known is null)
        {
            await SourceSlot.RefuseOthersAsync(source, options, cancellationToken);
            return;
        }

        try
        {
            await SourceSlot.DropAsync(source, known, cancellationToken);
        }
        catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.ObjectInUse)
        {
            throw new StreamException(StreamErrorKind.Fenced, $"The stream '{options.Name}' still runs: its slot '{known}' is in use. Stop it first.");
        }
    }
}
