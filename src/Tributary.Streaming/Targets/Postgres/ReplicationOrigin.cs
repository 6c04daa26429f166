using Microsoft.Extensions.Logging;
using Npgsql;
using Tributary.Postgres;

namespace Tributary.Streaming.Targets.Postgres;

/// <summary>
/// Marks what is written here as not born here, so that a stream in the other direction can leave it out. Only superusers may by default. An
/// origin belongs to one session at a time, so each connection of a stream has its own
/// (https://www.postgresql.org/docs/current/replication-origins.html).
/// </summary>
internal static class ReplicationOrigin
{
    /// <summary>The slash cannot be in the name of a stream, so one stream's second origin is never another's first.</summary>
    public static string Name(string pipeline, int lane) => lane == 0 ? $"tributary_{pipeline}" : $"tributary_{pipeline}/{lane + 1}";

    public static async Task<bool> TrySetAsync(NpgsqlConnection target, string pipeline, int lane, ILogger logger, CancellationToken cancellationToken)
    {
        try
        {
            await using var command = new NpgsqlCommand(
                """
                SELECT CASE WHEN pg_catalog.pg_replication_origin_oid($1) IS NULL THEN pg_catalog.pg_replication_origin_create($1) END
                """, target)
            { Parameters = { new() { Value = Name(pipeline, lane) } } };
            await command.ExecuteNonQueryAsync(cancellationToken);
            command.CommandText = "SELECT pg_catalog.pg_replication_origin_session_setup($1)";
            await command.ExecuteNonQueryAsync(cancellationToken);
            return true;
        }
        catch (PostgresException exception) when (exception.SqlState is PostgresErrorCodes.InsufficientPrivilege or PostgresErrorCodes.ConfigurationLimitExceeded or PostgresErrorCodes.ObjectNotInPrerequisiteState or PostgresErrorCodes.ObjectInUse)
        {
            Log.NoOrigin(logger, pipeline, LostLink.Describe(exception));
            return false;
        }
    }

    // A session with an origin that is told no time stamps every commit with the time of its first one (RecordTransactionCommit in
    // src/backend/access/transam/xact.c), and whoever decodes the target would take that for the commit's.
    public static NpgsqlBatchCommand Stamp(Lsn position, DateTimeOffset commitTime) => new("SELECT pg_catalog.pg_replication_origin_xact_setup($1::text::pg_lsn, $2)")
    {
        Parameters =
        {
            new NpgsqlParameter<string> { TypedValue = position.ToString() },
            new NpgsqlParameter<DateTimeOffset> { TypedValue = commitTime },
        },
    };
}
