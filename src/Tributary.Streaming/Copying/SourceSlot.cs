using Npgsql;
using Tributary.Postgres;

namespace Tributary.Streaming.Copying;

/// <summary>The stream's replication slot at the source.</summary>
internal static class SourceSlot
{
    public static async Task DropAsync(NpgsqlConnection source, string name, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            "SELECT pg_catalog.pg_drop_replication_slot(slot_name) FROM pg_catalog.pg_replication_slots WHERE slot_name = $1", source)
        { Parameters = { new() { Value = name } } };
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Makes the slot without a snapshot; answers the position at which it begins.</summary>
    public static async Task<Lsn> CreateAsync(NpgsqlConnection source, string name, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("SELECT lsn::text FROM pg_catalog.pg_create_logical_replication_slot($1, 'pgoutput')", source)
        { Parameters = { new() { Value = name } } };
        return Lsn.Parse((string)(await command.ExecuteScalarAsync(cancellationToken))!);
    }

    /// <summary>For a target that does not know the stream: then a slot of its name serves somebody else.</summary>
    /// <exception cref="StreamException">Kind Configuration: there is one.</exception>
    public static async Task RefuseOthersAsync(NpgsqlConnection source, StreamOptions options, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("SELECT EXISTS (SELECT FROM pg_catalog.pg_replication_slots WHERE slot_name = $1)", source)
        { Parameters = { new() { Value = options.SlotName } } };
        if (!(bool)(await command.ExecuteScalarAsync(cancellationToken))!)
            return;
        throw new StreamException(
            StreamErrorKind.Configuration,
            $"The source has a replication slot '{options.SlotName}', and the target {options.TargetName} knows no stream '{options.Name}': the slot may serve the stream of " +
            $"another target, which would lose changes without it. Nothing was changed. Give this stream another name, or, if nothing else uses the slot, " +
            $"run at the source: SELECT pg_drop_replication_slot({SqlQuoting.Literal(options.SlotName)});");
    }
}
