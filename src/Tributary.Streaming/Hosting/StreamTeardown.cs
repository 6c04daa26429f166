using Npgsql;
using Tributary.Postgres;
using Tributary.Streaming.Targets.Postgres;

namespace Tributary.Streaming.Hosting;

/// <summary>Takes back what a stream has made. It may be called again after a failure in the middle.</summary>
public static class StreamTeardown
{
    /// <summary>
    /// Drops slot and publication at the source, and the progress at the target. The stream must be stopped.
    /// The slot goes first: left alone it would keep the source's log for ever.
    /// </summary>
    /// <param name="dropCopied">Also drops every table and other object that the copy made in the target; otherwise they stay as they are.</param>
    /// <exception cref="StreamException">Kind Fenced: the stream runs. Source, Target: that side does not answer or refuses; the source is done first.</exception>
    public static async Task DestroyAsync(StreamOptions options, bool dropCopied, CancellationToken cancellationToken)
    {
        try
        {
            await CleanSourceAsync(options, cancellationToken);
        }
        catch (Exception exception) when (exception is NpgsqlException or IOException or TimeoutException)
        {
            throw new StreamException(
                StreamErrorKind.Source, $"The slot '{options.SlotName}' or the publication '{options.PublicationName}' at {options.Source} could not be dropped: {LostLink.Describe(exception)}", exception);
        }

        try
        {
            await CleanTargetAsync(options, dropCopied, cancellationToken);
        }
        catch (Exception exception) when (exception is NpgsqlException or IOException or TimeoutException)
        {
            throw new StreamException(
                StreamErrorKind.Target, $"Slot and publication at the source are dropped, but the target {options.Target} could not be cleaned: {LostLink.Describe(exception)}. Try again when it answers.", exception);
        }
    }

    static async Task CleanSourceAsync(StreamOptions options, CancellationToken cancellationToken)
    {
        await using var source = await SessionSettings.OpenAsync(SessionSettings.ConnectionString(options.Source, "tributary destroy"), cancellationToken);
        await DropSlotAsync(source, options, cancellationToken);
        await ExecuteAsync(source, $"DROP PUBLICATION IF EXISTS {SqlQuoting.Identifier(options.PublicationName)}", cancellationToken);
    }

    static async Task CleanTargetAsync(StreamOptions options, bool dropCopied, CancellationToken cancellationToken)
    {
        await using var target = await SessionSettings.OpenAsync(SessionSettings.ConnectionString(options.Target, "tributary destroy"), cancellationToken);
        if (!await ProgressTable.TryLockAsync(target, options.Name, cancellationToken))
            throw ProgressTable.Fenced(options.Name);
        await ProgressTable.CreateAsync(target, cancellationToken);
        if (dropCopied)
            await CopiedObjects.DropAsync(target, options.Name, cancellationToken);
        await ProgressTable.DeleteAsync(target, options.Name, cancellationToken);
    }

    static async Task DropSlotAsync(NpgsqlConnection source, StreamOptions options, CancellationToken cancellationToken)
    {
        try
        {
            await using var command = new NpgsqlCommand(
                "SELECT pg_catalog.pg_drop_replication_slot(slot_name) FROM pg_catalog.pg_replication_slots WHERE slot_name = $1", source)
            { Parameters = { new() { Value = options.SlotName } } };
            await command.ExecuteNonQueryAsync(cancellationToken);
        }
        catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.ObjectInUse)
        {
            throw new StreamException(
                StreamErrorKind.Fenced, $"The stream '{options.Name}' still runs: its slot '{options.SlotName}' is in use. Stop it first.", exception);
        }
    }

    static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
