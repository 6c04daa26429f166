using Npgsql;
using Tributary.Postgres;

namespace Tributary.Streaming.Hosting;

/// <summary>What a target must have by itself: rights, and a free replication origin.</summary>
internal static class TargetChecks
{
    public static async Task RunAsync(NpgsqlConnection target, StreamOptions options, List<StreamFinding> findings, CancellationToken cancellationToken)
    {
        await CheckRightsAsync(target, options, findings, cancellationToken);
        await CheckOriginAsync(target, options, findings, cancellationToken);
    }

    static async Task CheckRightsAsync(NpgsqlConnection target, StreamOptions options, List<StreamFinding> findings, CancellationToken cancellationToken)
    {
        var subject = $"target {options.Target}";
        var role = SqlQuoting.Identifier(options.Target.User);
        try
        {
            await using var replica = new NpgsqlCommand("SET session_replication_role = replica", target);
            await replica.ExecuteNonQueryAsync(cancellationToken);
        }
        catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.InsufficientPrivilege)
        {
            findings.Add(new StreamFinding(
                FindingSeverity.Error, subject, $"the role {options.Target.User} may not set session_replication_role, so triggers would fire twice",
                "Let the role set it (Postgres 15 and later), or use a superuser.", $"GRANT SET ON PARAMETER session_replication_role TO {role};"));
        }

        await using var create = new NpgsqlCommand(
            "SELECT pg_catalog.has_database_privilege(current_database(), 'CREATE'), pg_catalog.pg_is_in_recovery()", target);
        await using var reader = await create.ExecuteReaderAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        if (reader.GetBoolean(1))
            findings.Add(new StreamFinding(FindingSeverity.Error, subject, "the server is a standby and takes no writes", "Name the primary, or promote this server.", "SELECT pg_promote();"));
        if (!reader.GetBoolean(0))
        {
            findings.Add(new StreamFinding(
                FindingSeverity.Error, subject, $"the role {options.Target.User} may not create schemas in the database", "Grant it.",
                $"GRANT CREATE ON DATABASE {SqlQuoting.Identifier(options.Target.Database)} TO {role};"));
        }
    }

    static async Task CheckOriginAsync(NpgsqlConnection target, StreamOptions options, List<StreamFinding> findings, CancellationToken cancellationToken)
    {
        // The bound has a setting of its own from Postgres 18 on.
        await using var command = new NpgsqlCommand(
            """
            SELECT (SELECT count(*) FROM pg_catalog.pg_replication_origin), EXISTS (SELECT FROM pg_catalog.pg_replication_origin WHERE roname = $1),
                COALESCE(current_setting('max_active_replication_origins', true), current_setting('max_replication_slots'))::bigint,
                pg_catalog.has_function_privilege('pg_catalog.pg_replication_origin_session_setup(text)', 'EXECUTE')
            """, target)
        { Parameters = { new() { Value = $"tributary_{options.Name}" } } };
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        var subject = $"target {options.Target}";
        const string Consequence = "its writes carry no replication origin, and a stream in the other direction would carry them back";
        if (!reader.GetBoolean(3))
        {
            var role = SqlQuoting.Identifier(options.Target.User);
            string[] functions = ["create(text)", "drop(text)", "oid(text)", "session_setup(text)", "session_is_setup()", "session_reset()", "xact_setup(pg_lsn, timestamptz)"];
            findings.Add(new StreamFinding(
                FindingSeverity.Note, subject, $"the role {options.Target.User} may not use replication origins: {Consequence}", "Needed only for two directions; grant it as a superuser.",
                string.Join('\n', functions.Select(function => $"GRANT EXECUTE ON FUNCTION pg_replication_origin_{function} TO {role};"))));
        }
        else if (!reader.GetBoolean(1) && reader.GetInt64(0) >= reader.GetInt64(2))
        {
            findings.Add(new StreamFinding(
                FindingSeverity.Warning, subject, $"all {reader.GetInt64(2)} replication origins are taken: {Consequence}", "Drop one that nobody needs (see pg_replication_origin), or raise the limit and restart.",
                $"ALTER SYSTEM SET {(target.PostgreSqlVersion.Major >= 18 ? "max_active_replication_origins" : "max_replication_slots")} = {reader.GetInt64(2) + 10};"));
        }
    }
}
