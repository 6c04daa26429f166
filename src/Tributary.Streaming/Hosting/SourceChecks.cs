using Npgsql;
using Tributary.Postgres;
using Tributary.Streaming.Copying;
using Tributary.Streaming.Copying.Ddl;

namespace Tributary.Streaming.Hosting;

/// <summary>What a source must have: a version that is known, logical decoding, rights, and room for a slot.</summary>
internal static class SourceChecks
{
    // Tested against each of them.
    const int VersionLeast = 13, VersionMost = 18;

    public static async Task RunAsync(NpgsqlConnection source, StreamOptions options, List<StreamFinding> findings, CancellationToken cancellationToken)
    {
        await CheckServerAsync(source, options, findings, cancellationToken);
        await CheckSchemaModeAsync(source, options, findings, cancellationToken);
        if (options.Stdout is not null)
            return;
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
        if (source.PostgreSqlVersion.Major < VersionLeast)
            Error($"Postgres {source.PostgreSqlVersion} is too old; {VersionLeast} to {VersionMost} are read", "Upgrade the server.", null);
        else if (source.PostgreSqlVersion.Major > VersionMost)
            findings.Add(new StreamFinding(FindingSeverity.Warning, subject, $"Postgres {source.PostgreSqlVersion} is newer than {VersionMost}, the newest that is tested", "Try it on a copy first."));
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

    static async Task CheckSchemaModeAsync(NpgsqlConnection source, StreamOptions options, List<StreamFinding> findings, CancellationToken cancellationToken)
    {
        if (options.Stdout is not null)
            return;
        void Note(string problem, string remedy, string? sql = null) => findings.Add(new StreamFinding(FindingSeverity.Note, $"source {options.Source}", problem, remedy, sql));
        if (options.Schema == SchemaMode.None)
        {
            Note("changes of the schema are not carried, as the options say: the stream stops at the first row of a table whose columns have changed", "Leave the option out to have them carried.");
            return;
        }

        if (await DdlCapture.WhyNotAsync(source, cancellationToken) is not { } why)
            return;
        var isUpgradable = source.PostgreSqlVersion.Major >= 14;
        Note(
            $"there can be no event triggers, since {why}: changes of the schema are taken from the descriptions of rows, which show columns and names of tables and nothing else",
            isUpgradable
                ? "Where everything is to be carried, stream as a superuser of a primary; a stream that runs already has to be destroyed and begun anew for it."
                : "Upgrade the server where everything is to be carried.",
            isUpgradable && why.Contains("superuser", StringComparison.Ordinal) ? $"ALTER ROLE {SqlQuoting.Identifier(options.Source.User)} SUPERUSER;" : null);
    }
}
