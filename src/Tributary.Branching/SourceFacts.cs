using System.Globalization;
using Npgsql;
using Tributary.Postgres;

namespace Tributary.Branching;

/// <summary>What branching must know of production; asked for once at the start, over an ordinary connection.</summary>
/// <param name="SystemIdentifier">Names the cluster for life; a different one means a different production.</param>
/// <param name="Major">The major version; main and its branches run the same.</param>
/// <param name="Superuser">The role made by initdb (oid 10). It exists in every clone and is used there alone, over a trusted socket.</param>
/// <param name="RequiredSettings">
/// Settings that a standby must have at least as high as its primary
/// (https://www.postgresql.org/docs/current/hot-standby.html#HOT-STANDBY-ADMIN).
/// </param>
internal sealed record SourceFacts(string SystemIdentifier, int Major, string Superuser, IReadOnlyList<string> RequiredSettings)
{
    const int FreshConnectTimeoutSeconds = 10;

    /// <summary>Asks production; every obstacle is an error that names its mend.</summary>
    public static async Task<BranchResult<SourceFacts>> ReadAsync(BranchingOptions options, CancellationToken cancellationToken)
    {
        try
        {
            await using var source = options.OpenProduction($"Timeout={FreshConnectTimeoutSeconds}");
            await using var connection = await source.OpenConnectionAsync(cancellationToken);
            var facts = await ReadAsync(connection, cancellationToken);
            return await ObstacleAsync(connection, options, cancellationToken) is { } obstacle ? obstacle : facts;
        }
        catch (NpgsqlException exception)
        {
            var reason = exception is PostgresException refused ? refused.MessageText : exception.InnerException?.Message ?? exception.Message;
            return new BranchError(BranchErrorKind.SourceUnsuitable, $"Cannot reach the source {options.Production}: {reason} Check source.url.");
        }
    }

    static async Task<SourceFacts> ReadAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            SELECT (SELECT system_identifier::text FROM pg_control_system()),
                   current_setting('server_version_num'),
                   (SELECT rolname::text FROM pg_roles WHERE oid = 10),
                   (SELECT string_agg(name || ' = ' || setting, E'\n') FROM pg_settings
                    WHERE name IN ('max_connections', 'max_worker_processes', 'max_wal_senders', 'max_prepared_transactions', 'max_locks_per_transaction'))
            """, connection);
        await using var row = await command.ExecuteReaderAsync(cancellationToken);
        await row.ReadAsync(cancellationToken);
        return new SourceFacts(
            row.GetString(0), int.Parse(row.GetString(1), CultureInfo.InvariantCulture) / 10000, row.GetString(2), row.GetString(3).Split('\n'));
    }

    static async Task<BranchError?> ObstacleAsync(NpgsqlConnection connection, BranchingOptions options, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            SELECT (SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user),
                   current_setting('wal_level') = 'logical' OR current_setting('wal_level') = $2,
                   current_setting('max_wal_senders')::int >= 2,
                   (SELECT count(*) FROM pg_replication_slots) < current_setting('max_replication_slots')::int
                   OR EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = $1)
            """, connection);
        var isLogical = options.Following == FollowingMode.Logical;
        command.Parameters.AddWithValue(options.SlotName);
        command.Parameters.AddWithValue(isLogical ? "logical" : "replica");
        await using var row = await command.ExecuteReaderAsync(cancellationToken);
        await row.ReadAsync(cancellationToken);
        var text = (row.GetBoolean(0), row.GetBoolean(1), row.GetBoolean(2), row.GetBoolean(3)) switch
        {
            (false, _, _, _) => $"The role {options.Production.User} may not replicate. Run there: ALTER ROLE {SqlQuoting.Identifier(options.Production.User)} REPLICATION;",
            (_, false, _, _) => $"The source's wal_level does not serve. Set wal_level = {(isLogical ? "logical" : "replica or logical")} there and restart it.",
            (_, _, false, _) => "The source allows fewer than two WAL senders. Raise max_wal_senders there and restart it.",
            (_, _, _, false) => "All replication slots of the source are in use. Raise max_replication_slots there, or drop a slot that nothing reads.",
            _ => null,
        };
        return text is null ? null : new BranchError(BranchErrorKind.SourceUnsuitable, text);
    }
}
