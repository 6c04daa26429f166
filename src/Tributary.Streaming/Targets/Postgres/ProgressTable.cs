using Npgsql;
using Tributary.Postgres;

namespace Tributary.Streaming.Targets.Postgres;

/// <summary>The stream's checkpoint, one row in the target's own database, so that it commits together with the data.</summary>
internal static class ProgressTable
{
    // "TRIB": the first key of the advisory lock; the second is a hash of the stream's name.
    const int LockClass = 0x54524942;

    /// <summary>Saves the position; a newer instance, which has raised the epoch, makes it fail and with it the whole transaction.</summary>
    const string SaveSql =
        """
        WITH saved AS (
            UPDATE tributary.progress SET commit_end_lsn = $1::text::pg_lsn, updated_at = now()
            WHERE pipeline = $2 AND epoch = $3 AND state = 'streaming' RETURNING 1)
        SELECT 1 / (SELECT count(*)::int FROM saved)
        """;

    public static NpgsqlBatchCommand Save(string pipeline, Lsn position, long epoch) => new(SaveSql)
    {
        Parameters =
        {
            new NpgsqlParameter<string> { TypedValue = position.ToString() },
            new NpgsqlParameter<string> { TypedValue = pipeline },
            new NpgsqlParameter<long> { TypedValue = epoch },
        },
    };

    public static async Task<bool> TryLockAsync(NpgsqlConnection target, string pipeline, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("SELECT pg_catalog.pg_try_advisory_lock($1, pg_catalog.hashtext($2))", target)
        {
            Parameters = { new() { Value = LockClass }, new() { Value = pipeline } },
        };
        return (bool)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    public static async Task CreateAsync(NpgsqlConnection target, CancellationToken cancellationToken)
    {
        // The lock of one stream does not keep another stream's first start out, and IF NOT EXISTS is not atomic: a short transaction lock is.
        await using var transaction = await target.BeginTransactionAsync(cancellationToken);
        await using var command = new NpgsqlCommand($"SELECT pg_catalog.pg_advisory_xact_lock({LockClass}, 0); {OwnSchema.CreateSql}", target, transaction);
        await command.ExecuteNonQueryAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
    }

    /// <summary>Reads the checkpoint and raises its epoch, which shuts out writes of earlier instances.</summary>
    public static async Task<Checkpoint?> TakeOverAsync(NpgsqlConnection target, string pipeline, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            UPDATE tributary.progress SET epoch = epoch + 1 WHERE pipeline = $1
            RETURNING state, system_identifier, slot_name, commit_end_lsn::text, epoch, timeline
            """, target)
        { Parameters = { new() { Value = pipeline } } };
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        if (!await reader.ReadAsync(cancellationToken))
            return null;
        var state = reader.GetString(0) == "streaming" ? CheckpointState.Streaming : CheckpointState.Copying;
        return new Checkpoint(state, reader.GetString(1), reader.GetString(2), Lsn.Parse(reader.GetString(3)), reader.GetInt64(4), (uint)reader.GetInt64(5));
    }

    public static async Task<Checkpoint> SetAsync(NpgsqlConnection target, string pipeline, Checkpoint checkpoint, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            INSERT INTO tributary.progress (pipeline, state, system_identifier, slot_name, commit_end_lsn, epoch, timeline)
            VALUES ($1, $2, $3, $4, $5::text::pg_lsn, $6, $7)
            ON CONFLICT (pipeline) DO UPDATE SET state = excluded.state, system_identifier = excluded.system_identifier,
                slot_name = excluded.slot_name, commit_end_lsn = excluded.commit_end_lsn, timeline = excluded.timeline, updated_at = now()
            WHERE progress.epoch = excluded.epoch
            """, target)
        {
            Parameters =
            {
                new() { Value = pipeline },
                new() { Value = checkpoint.State == CheckpointState.Streaming ? "streaming" : "copying" },
                new() { Value = checkpoint.SystemIdentifier },
                new() { Value = checkpoint.SlotName },
                new() { Value = checkpoint.Position.ToString() },
                new() { Value = checkpoint.Epoch },
                new() { Value = (long)checkpoint.Timeline },
            },
        };
        if (await command.ExecuteNonQueryAsync(cancellationToken) != 1)
            throw Fenced(pipeline);
        return checkpoint;
    }

    /// <summary>Whether the stream is known to the target, and with which slot.</summary>
    public static async Task<string?> SlotNameAsync(NpgsqlConnection target, string pipeline, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("SELECT slot_name FROM tributary.progress WHERE pipeline = $1", target)
        { Parameters = { new() { Value = pipeline } } };
        return (string?)await command.ExecuteScalarAsync(cancellationToken);
    }

    /// <summary>Forgets the stream, and gives back its replication origin: a server has only as many as max_replication_slots.</summary>
    public static async Task DeleteAsync(NpgsqlConnection target, string pipeline, CancellationToken cancellationToken)
    {
        await using var origin = new NpgsqlCommand(
            "SELECT pg_catalog.pg_replication_origin_drop(roname) FROM pg_catalog.pg_replication_origin WHERE (roname = $1 OR starts_with(roname, $1 || '/')) AND has_function_privilege('pg_catalog.pg_replication_origin_drop(text)', 'EXECUTE')", target)
        { Parameters = { new() { Value = $"tributary_{pipeline}" } } };
        await origin.ExecuteNonQueryAsync(cancellationToken);
        await using var command = new NpgsqlCommand(
            "WITH forgotten AS (DELETE FROM tributary.copied_object WHERE pipeline = $1), told AS (DELETE FROM tributary.schema_report WHERE pipeline = $1), shapes AS (DELETE FROM tributary.table_shape WHERE pipeline = $1) DELETE FROM tributary.progress WHERE pipeline = $1", target)
        { Parameters = { new() { Value = pipeline } } };
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    public static StreamException Fenced(string pipeline) => new(
        StreamErrorKind.Fenced,
        $"Another instance of the stream '{pipeline}' writes to the target. Stop one of them; an instance whose process hung may go on in the background.");
}
