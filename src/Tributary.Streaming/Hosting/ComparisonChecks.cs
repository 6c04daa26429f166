using Npgsql;
using Tributary.Postgres;

namespace Tributary.Streaming.Hosting;

/// <summary>What differs between the two sides, so that a schema or a value of the source means something else at the target or cannot be there.</summary>
internal static class ComparisonChecks
{
    public static async Task RunAsync(NpgsqlConnection source, NpgsqlConnection target, StreamOptions options, List<StreamFinding> findings, CancellationToken cancellationToken)
    {
        var subject = $"target {options.Target}";
        if (target.PostgreSqlVersion.Major < source.PostgreSqlVersion.Major)
        {
            findings.Add(new StreamFinding(
                FindingSeverity.Warning, subject, $"Postgres {target.PostgreSqlVersion.Major} is older than the source's {source.PostgreSqlVersion.Major}: what the schema has of the newer one cannot be made",
                "Use a target of the source's version or newer."));
        }

        await CheckTextAsync(source, target, options, findings, cancellationToken);
        await CheckExtensionsAsync(source, target, options, findings, cancellationToken);
    }

    static async Task CheckTextAsync(NpgsqlConnection source, NpgsqlConnection target, StreamOptions options, List<StreamFinding> findings, CancellationToken cancellationToken)
    {
        var (here, there) = (await TextAsync(source, cancellationToken), await TextAsync(target, cancellationToken));
        var subject = $"target {options.Target}";
        var create = $"CREATE DATABASE {SqlQuoting.Identifier(options.Target.Database)} TEMPLATE template0 ENCODING {SqlQuoting.Literal(here.Encoding)} LC_COLLATE {SqlQuoting.Literal(here.Collate)} LC_CTYPE {SqlQuoting.Literal(here.Type)};";
        if (here.Encoding == "SQL_ASCII")
        {
            findings.Add(new StreamFinding(
                FindingSeverity.Warning, $"source {options.Source}", "the database's encoding is SQL_ASCII, so its text may be in any encoding, and what is not UTF-8 stops the stream",
                "Move the data into a database with the encoding UTF8."));
        }
        else if (here.Encoding != there.Encoding && there.Encoding != "UTF8")
        {
            findings.Add(new StreamFinding(
                FindingSeverity.Warning, subject, $"the database's encoding is {there.Encoding}, the source's {here.Encoding}: a character that it lacks stops the stream", "Make the target's database with the source's encoding.", create));
        }

        if ((here.Collate, here.Type, here.Locale) != (there.Collate, there.Type, there.Locale))
        {
            findings.Add(new StreamFinding(
                FindingSeverity.Warning, subject,
                $"the database sorts by {there.Collate}{there.Locale}, the source by {here.Collate}{here.Locale}: ORDER BY, ranges of text and partitions by text differ", "Make the target's database with the source's locale.", create));
        }
    }

    static async Task<(string Encoding, string Collate, string Type, string Locale)> TextAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        // The ICU locale's column came with 15 and has another name from 17 on.
        await using var command = new NpgsqlCommand(
            """
            SELECT pg_catalog.pg_encoding_to_char(d.encoding)::text, d.datcollate::text, d.datctype::text,
                COALESCE(' (' || COALESCE(pg_catalog.to_jsonb(d) ->> 'datlocale', pg_catalog.to_jsonb(d) ->> 'daticulocale') || ')', '')
            FROM pg_catalog.pg_database d WHERE d.datname = current_database()
            """, connection);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        return (reader.GetString(0), reader.GetString(1), reader.GetString(2), reader.GetString(3));
    }

    static async Task CheckExtensionsAsync(NpgsqlConnection source, NpgsqlConnection target, StreamOptions options, List<StreamFinding> findings, CancellationToken cancellationToken)
    {
        await using var used = new NpgsqlCommand("SELECT extname::text, extversion FROM pg_catalog.pg_extension WHERE extname <> 'plpgsql' ORDER BY 1", source);
        var extensions = new List<string>();
        await using (var reader = await used.ExecuteReaderAsync(cancellationToken))
        {
            while (await reader.ReadAsync(cancellationToken))
                extensions.Add(reader.GetString(0));
        }

        foreach (var extension in extensions)
        {
            await using var state = new NpgsqlCommand(
                """
                SELECT EXISTS (SELECT FROM pg_catalog.pg_available_extensions WHERE name = $1), EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = $1),
                    (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user)
                        OR EXISTS (SELECT FROM pg_catalog.pg_available_extension_versions WHERE name = $1 AND (trusted OR NOT superuser))
                """, target)
            { Parameters = { new() { Value = extension } } };
            await using var reader = await state.ExecuteReaderAsync(cancellationToken);
            await reader.ReadAsync(cancellationToken);
            if (!reader.GetBoolean(0) && !reader.GetBoolean(1))
            {
                findings.Add(new StreamFinding(
                    FindingSeverity.Error, $"target {options.Target}", $"the source uses the extension {extension}, which this server does not have", "Install its package on the target's machine."));
            }
            else if (!reader.GetBoolean(1) && !reader.GetBoolean(2))
            {
                findings.Add(new StreamFinding(
                    FindingSeverity.Error, $"target {options.Target}", $"the source uses the extension {extension}, which the role {options.Target.User} may not create", "Create it as a superuser of the target's database.",
                    $"CREATE EXTENSION {SqlQuoting.Identifier(extension)};"));
            }
        }
    }
}
