using Npgsql;
using Tributary.Postgres;

namespace Tributary.Streaming.Targets.Postgres;

/// <summary>
/// What the copy of the schema made in the target, recorded in the transaction that made it, so that an unfinished copy can be taken back
/// without touching anything else.
/// </summary>
internal static class CopiedObjects
{
    /// <summary>Drops what the stream's copy made. What a user has since built upon it goes too: it could not stand without.</summary>
    public static async Task DropAsync(NpgsqlConnection target, string pipeline, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            $"""
            SET LOCAL client_min_messages = warning;
            DO $drop$
            DECLARE copied record;
            BEGIN
                FOR copied IN
                    SELECT kind, identity FROM tributary.copied_object
                    WHERE pipeline = {SqlQuoting.Literal(pipeline)}
                    ORDER BY kind = 'extension', kind = 'schema'
                LOOP
                    BEGIN
                        EXECUTE format('DROP %s IF EXISTS %s CASCADE', copied.kind, copied.identity);
                    EXCEPTION WHEN undefined_object OR undefined_table OR undefined_function OR invalid_schema_name OR wrong_object_type
                        OR dependent_objects_still_exist THEN
                        NULL; -- It went with another object.
                    END;
                END LOOP;
                DELETE FROM tributary.copied_object WHERE pipeline = {SqlQuoting.Literal(pipeline)};
            END
            $drop$;
            """, target);
        await using var transaction = await target.BeginTransactionAsync(cancellationToken);
        command.Transaction = transaction;
        await command.ExecuteNonQueryAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
    }
}
