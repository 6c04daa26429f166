using Npgsql;
using Tributary.Postgres;
using Tributary.Streaming.Copying;

namespace Tributary.Streaming.Hosting;

/// <summary>What a source must have: logical decoding, rights, room for a slot, and tables whose rows can be identified.</summary>
internal static class SourceChecks
{
    // Named tables a finding lists; the rest is counted.
    const int TablesShownMax = 5;

    public static async Task RunAsync(NpgsqlConnection source, StreamOptions options, List<StreamFinding> findings, CancellationToken cancellationToken)
    {
        await CheckServerAsync(source, options, findings, cancellationToken);
        await CheckIdentitiesAsync(source, options, findings, cancellationToken);
        try
        {
            SchemaCopy.ProgramsFor(source.PostgreSqlVersion.Major);
        }
        catch (StreamException exception)
        {
            findings.Add(new StreamFinding(FindingSeverity.Error, "machine", exception.Message, "Install the PostgreSQL client programs."));
        }
    }

    static async Task CheckServerAsync(NpgsqlConnection source, StreamOptions options, List<StreamFinding> findings, CancellationToken cancellationToken)
    {
        var subject = $"source {options.Source}";
        var role = SqlQuoting.Identifier(options.Source.User);
        await using var command = new NpgsqlCommand(
            """
            SELECT current_setting('wal_level'), r.rolreplication OR r.rolsuper,
                current_setting('max_replication_slots')::bigint, (SELECT count(*) FROM pg_catalog.pg_replication_slots),
                EXISTS (SELECT FROM pg_catalog.pg_replication_slots WHERE slot_name = $1),
                current_setting('max_wal_senders')::bigint, (SELECT count(*) FROM pg_catalog.pg_stat_replication),
                r.rolsuper OR pg_catalog.has_database_privilege(current_database(), 'CREATE')
                    OR EXISTS (SELECT FROM pg_catalog.pg_publication WHERE pubname = $2)
            FROM pg_catalog.pg_roles r WHERE r.rolname = current_user
            """, source)
        { Parameters = { new() { Value = options.SlotName }, new() { Value = options.PublicationName } } };
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        void Error(string problem, string remedy, string? sql) => findings.Add(new StreamFinding(FindingSeverity.Error, subject, problem, remedy, sql));
        if (reader.GetString(0) is not "logical" and var level)
            Error($"wal_level is {level}; changes can be read only with logical", "Set it, then restart the server.", "ALTER SYSTEM SET wal_level = logical;");
        if (!reader.GetBoolean(1))
            Error($"the role {options.Source.User} lacks REPLICATION", "Grant it as a superuser.", $"ALTER ROLE {role} REPLICATION;");
        if (!reader.GetBoolean(4) && reader.GetInt64(3) >= reader.GetInt64(2))
        {
            Error(
                $"all {reader.GetInt64(2)} replication slots are in use", "Drop one that nobody needs (see pg_replication_slots), or raise the limit and restart.",
                $"ALTER SYSTEM SET max_replication_slots = {reader.GetInt64(2) + 4};");
        }

        // Two: the stream itself and the snapshot's holder during the copy.
        if (reader.GetInt64(6) + 2 > reader.GetInt64(5))
        {
            Error(
                $"{reader.GetInt64(6)} of {reader.GetInt64(5)} WAL senders are in use; a stream needs two while it copies", "Raise the limit and restart.",
                $"ALTER SYSTEM SET max_wal_senders = {reader.GetInt64(6) + 4};");
        }

        if (!reader.GetBoolean(7))
        {
            Error(
                $"the role {options.Source.User} may not create a publication in the database", "Create it as a superuser.",
                $"CREATE PUBLICATION {SqlQuoting.Identifier(options.PublicationName)} FOR ALL TABLES;");
        }
    }

    static async Task CheckIdentitiesAsync(NpgsqlConnection source, StreamOptions options, List<StreamFinding> findings, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            SELECT n.nspname::text, c.relname::text
            FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'tributary')
                AND (c.relreplident = 'n'
                    OR c.relreplident = 'd' AND NOT EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisprimary)
                    OR c.relreplident = 'i' AND NOT EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisreplident))
            ORDER BY 1, 2
            """, source);
        var tables = new List<string>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            tables.Add(SqlQuoting.Qualified(reader.GetString(0), reader.GetString(1)));
        if (tables.Count == 0)
            return;
        var more = tables.Count > TablesShownMax ? $" and {tables.Count - TablesShownMax} more" : "";
        findings.Add(new StreamFinding(
            FindingSeverity.Warning, $"source {options.Source}",
            $"tables without a replica identity: {string.Join(", ", tables.Take(TablesShownMax))}{more}. Once they are published, Postgres refuses updates and deletes of them at the source",
            "Give each a primary key, or let Postgres log whole rows.",
            string.Join("\n", tables.Select(table => $"ALTER TABLE {table} REPLICA IDENTITY FULL;"))));
    }
}
