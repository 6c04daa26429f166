using Npgsql;
using Tributary.Postgres;

namespace Tributary.Streaming.Sources;

/// <summary>
/// Compares the slot with the saved position before anything is read. The server moves a start position before the slot's confirmed one
/// forward without a word (CreateDecodingContext in src/backend/replication/logical/logical.c), which would be a silent gap.
/// </summary>
internal static class SlotCheck
{
    public static async Task RunAsync(NpgsqlConnection source, StreamOptions options, Checkpoint checkpoint, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            SELECT plugin::text, database::text, confirmed_flush_lsn::text, wal_status, database = current_database()
            FROM pg_catalog.pg_replication_slots WHERE slot_name = $1
            """, source)
        { Parameters = { new() { Value = options.SlotName } } };
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        if (!await reader.ReadAsync(cancellationToken))
            throw Gap(options, $"The replication slot '{options.SlotName}' does not exist on the source any more");
        if (reader.IsDBNull(0) || reader.GetString(0) != "pgoutput" || !reader.GetBoolean(4))
            throw Gap(options, $"The replication slot '{options.SlotName}' belongs to another plugin or another database");
        if (reader.IsDBNull(2) || (!reader.IsDBNull(3) && reader.GetString(3) == "lost"))
            throw Gap(options, $"The source has removed log that the replication slot '{options.SlotName}' needed (wal_status lost)");
        var confirmed = Lsn.Parse(reader.GetString(2));
        if (confirmed > checkpoint.Position)
        {
            throw Gap(
                options,
                $"The replication slot '{options.SlotName}' starts at {confirmed}, behind the saved position {checkpoint.Position}: it was recreated or moved by hand, and the changes between are gone");
        }
    }

    public static StreamException OtherSystem(StreamOptions options, Checkpoint checkpoint, string found) => Gap(
        options,
        $"The source is another database cluster (system identifier {found}) than the one that was copied ({checkpoint.SystemIdentifier})");

    static StreamException Gap(StreamOptions options, string what) => new(
        StreamErrorKind.Gap,
        $"{what}. The stream '{options.Name}' stops, since going on would leave the target with a gap. " +
        "Way back: 'tributary stream destroy --drop-copied', then start the stream again; it copies all rows anew.");
}
