using Npgsql;
using Tributary.Postgres;

namespace Tributary.Streaming.Copying;

/// <summary>
/// What the source sends: every table where that is allowed, otherwise the tables that the role owns. One of that name that exists is used
/// if it sends the same; made by somebody else, it is never dropped. A comment tells them apart.
/// </summary>
internal static class Publication
{
    /// <exception cref="StreamException">Kind Configuration: the role may create none, or the one that exists leaves something out.</exception>
    public static async Task EnsureAsync(NpgsqlConnection source, StreamOptions options, CancellationToken cancellationToken)
    {
        if (await FindLackAsync(source, options, cancellationToken) is { } found)
        {
            if (found.Length > 0)
                throw Unsuitable(options, found);
            return;
        }

        var name = SqlQuoting.Identifier(options.PublicationName);
        if (await TryCreateAsync(source, options, "ALL TABLES", cancellationToken))
            return;
        var tables = await OwnTablesAsync(source, cancellationToken);
        if (tables.Count > 0 && await TryCreateAsync(source, options, $"TABLE {string.Join(", ", tables)}", cancellationToken))
            return;
        throw new StreamException(
            StreamErrorKind.Configuration,
            $"The source's role {options.Source.User} may create no publication. As a superuser of the source's database run: CREATE PUBLICATION {name} FOR ALL TABLES;");
    }

    /// <summary>Drops the publication if this stream has made it.</summary>
    public static async Task DropOwnAsync(NpgsqlConnection source, StreamOptions options, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            "SELECT pg_catalog.obj_description(oid, 'pg_publication') = $2 FROM pg_catalog.pg_publication WHERE pubname = $1", source)
        { Parameters = { new() { Value = options.PublicationName }, new() { Value = Mark(options) } } };
        if (await command.ExecuteScalarAsync(cancellationToken) is not true)
            return;
        await ExecuteAsync(source, $"DROP PUBLICATION {SqlQuoting.Identifier(options.PublicationName)}", cancellationToken);
    }

    static string Mark(StreamOptions options) => $"tributary:{options.Name}";

    // Null: there is none of the name. Empty: it lacks nothing.
    static async Task<string?> FindLackAsync(NpgsqlConnection source, StreamOptions options, CancellationToken cancellationToken)
    {
        // Row filters and column lists exist from Postgres 15 on; read as JSON, their columns may be missing.
        await using var command = new NpgsqlCommand(
            """
            SELECT concat_ws(', ',
                CASE WHEN NOT p.pubinsert THEN 'it leaves out INSERT' END, CASE WHEN NOT p.pubupdate THEN 'it leaves out UPDATE' END,
                CASE WHEN NOT p.pubdelete THEN 'it leaves out DELETE' END, CASE WHEN NOT p.pubtruncate THEN 'it leaves out TRUNCATE' END,
                CASE WHEN pg_catalog.to_jsonb(p) ->> 'pubviaroot' <> $2 THEN 'publish_via_partition_root is ' || CASE $2 WHEN 'true' THEN 'off' ELSE 'on' END END,
                CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_publication_rel r WHERE r.prpubid = p.oid AND pg_catalog.to_jsonb(r) ->> 'prqual' IS NOT NULL) THEN 'it filters rows' END,
                CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_publication_rel r WHERE r.prpubid = p.oid AND pg_catalog.to_jsonb(r) ->> 'prattrs' IS NOT NULL) THEN 'it leaves out columns' END)
            FROM pg_catalog.pg_publication p WHERE p.pubname = $1
            """, source)
        { Parameters = { new() { Value = options.PublicationName }, new() { Value = options.PartitionsViaRoot ? "true" : "false" } } };
        return (string?)await command.ExecuteScalarAsync(cancellationToken);
    }

    static StreamException Unsuitable(StreamOptions options, string lack) => new(
        StreamErrorKind.Configuration,
        $"The source has a publication \"{options.PublicationName}\" that does not send every change as the stream needs it: {lack}. " +
        "Nothing was changed. Give the stream another name, or drop that publication if nothing else uses it; the stream then makes its own.");

    static async Task<bool> TryCreateAsync(NpgsqlConnection source, StreamOptions options, string what, CancellationToken cancellationToken)
    {
        var name = SqlQuoting.Identifier(options.PublicationName);
        try
        {
            // Sent as one text, and so in one transaction: without its comment the publication would not be known as ours.
            await ExecuteAsync(
                source, $"CREATE PUBLICATION {name} FOR {what}{(options.PartitionsViaRoot ? " WITH (publish_via_partition_root = true)" : "")}; COMMENT ON PUBLICATION {name} IS {SqlQuoting.Literal(Mark(options))}", cancellationToken);
            return true;
        }
        catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.InsufficientPrivilege)
        {
            return false;
        }
        catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.ReadOnlySqlTransaction)
        {
            throw new StreamException(
                StreamErrorKind.Configuration,
                $"The source {options.Source} is a standby and has no publication \"{options.PublicationName}\" yet. At its primary, as a superuser of the database, run: CREATE PUBLICATION {name} FOR {what};");
        }
    }

    static async Task<List<string>> OwnTablesAsync(NpgsqlConnection source, CancellationToken cancellationToken)
    {
        var tables = new List<string>();
        await using var command = new NpgsqlCommand(
            """
            SELECT n.nspname::text, c.relname::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence = 'p' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'tributary')
                AND pg_catalog.pg_has_role(c.relowner, 'USAGE')
            """, source);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            tables.Add(SqlQuoting.Qualified(reader.GetString(0), reader.GetString(1)));
        return tables;
    }

    static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
