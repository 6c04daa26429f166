using Npgsql;
using Tributary.Postgres;

namespace Tributary.Streaming.Sources;

/// <param name="CanFailOver">Whether standbys keep a copy of the slot; null on servers that know no such slots (before Postgres 17).</param>
internal readonly record struct SlotState(bool? CanFailOver);

/// <summary>
/// Compares the slot with the saved position before anything is read. The server moves a start position before the slot's confirmed one
/// forward without a word (CreateDecodingContext in src/backend/replication/logical/logical.c), which would be a silent gap.
/// A slot that was made anew and begins at or before the saved position loses nothing: it sends every transaction that commits behind its
/// beginning, and those that the target holds are skipped. That the log itself is still the same one is for <see cref="TimelineCheck"/> to say.
/// </summary>
internal static class SlotCheck
{
    public static async Task<SlotState> RunAsync(NpgsqlConnection source, StreamOptions options, Checkpoint checkpoint, CancellationToken cancellationToken)
    {
        // Columns that only newer servers have are read as JSON, where they may be missing.
        await using var command = new NpgsqlCommand(
            """
            SELECT plugin::text, database = current_database(), confirmed_flush_lsn::text, wal_status,
                pg_catalog.to_jsonb(s) ->> 'invalidation_reason', pg_catalog.to_jsonb(s) ->> 'conflicting',
                pg_catalog.to_jsonb(s) ->> 'failover', pg_catalog.to_jsonb(s) ->> 'synced' = 'true' AND pg_catalog.pg_is_in_recovery()
            FROM pg_catalog.pg_replication_slots s WHERE slot_name = $1
            """, source)
        { Parameters = { new() { Value = options.SlotName } } };
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        if (!await reader.ReadAsync(cancellationToken))
            throw Gap(options, $"The replication slot '{options.SlotName}' does not exist on the source any more");
        var values = Enumerable.Range(0, reader.FieldCount).Select(i => reader.IsDBNull(i) ? null : reader.GetValue(i)).ToArray();
        if (values[0] is not "pgoutput" || values[1] is not true)
            throw Gap(options, $"The replication slot '{options.SlotName}' belongs to another plugin or another database");
        if (values[4] is string reason)
            throw Gap(options, $"The source has invalidated the replication slot '{options.SlotName}' ({reason})");
        if (values[5] is "true")
            throw Gap(options, $"The source has invalidated the replication slot '{options.SlotName}', since it conflicted with recovery");
        if (values[2] is not string confirmedText || values[3] is "lost")
            throw Gap(options, $"The source has removed log that the replication slot '{options.SlotName}' needed (wal_status lost)");
        if (values[7] is true)
        {
            throw new StreamException(
                StreamErrorKind.Configuration,
                $"The replication slot '{options.SlotName}' on the source {options.Source} is a standby's copy, which can be read only after a promotion. Name the primary as the source.");
        }

        var confirmed = Lsn.Parse(confirmedText);
        if (confirmed > checkpoint.Position)
        {
            throw Gap(
                options,
                $"The replication slot '{options.SlotName}' starts at {confirmed}, behind the saved position {checkpoint.Position}: it was recreated or moved by hand, and the changes between are gone");
        }

        return new SlotState(values[6] is string failover ? failover == "true" : null);
    }

    public static StreamException OtherSystem(StreamOptions options, Checkpoint checkpoint, string found) => Gap(
        options,
        $"The source is another database cluster (system identifier {found}) than the one that was copied ({checkpoint.SystemIdentifier})");

    public static StreamException Gap(StreamOptions options, string what) => new(
        StreamErrorKind.Gap,
        $"{what}. The stream '{options.Name}' stops, since going on would leave the target with a gap. " +
        "Way back: 'tributary stream destroy --drop-copied', then start the stream again; it copies all rows anew.")
    { Cause = what };
}
