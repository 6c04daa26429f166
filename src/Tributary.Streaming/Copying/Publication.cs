using Npgsql;
using Tributary.Postgres;

namespace Tributary.Streaming.Copying;

/// <summary>What the source sends: every table where that is allowed, otherwise the tables that the role owns.</summary>
internal static class Publication
{
    public static async Task EnsureAsync(NpgsqlConnection source, StreamOptions options, CancellationToken cancellationToken)
    {
        await using var exists = new NpgsqlCommand("SELECT count(*) FROM pg_catalog.pg_publication WHERE pubname = $1", source)
        { Parameters = { new() { Value = options.PublicationName } } };
        if ((long)(await exists.ExecuteScalarAsync(cancellationToken))! > 0)
            return;
        var name = SqlQuoting.Identifier(options.PublicationName);
        try
        {
            await ExecuteAsync(source, $"CREATE PUBLICATION {name} FOR ALL TABLES", cancellationToken);
        }
        catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.InsufficientPrivilege)
        {
            await CreateForOwnTablesAsync(source, options, name, cancellationToken);
        }
    }

    static async Task CreateForOwnTablesAsync(NpgsqlConnection source, StreamOptions options, string name, CancellationToken cancellationToken)
    {
        var tables = new List<string>();
        await using (var command = new NpgsqlCommand(
            """
            SELECT n.nspname::text, c.relname::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence = 'p' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'tributary')
                AND pg_catalog.pg_has_role(c.relowner, 'USAGE')
            """, source))
        {
            await using var reader = await command.ExecuteReaderAsync(cancellationToken);
            while (await reader.ReadAsync(cancellationToken))
                tables.Add(SqlQuoting.Qualified(reader.GetString(0), reader.GetString(1)));
        }

        try
        {
            if (tables.Count > 0)
            {
                await ExecuteAsync(source, $"CREATE PUBLICATION {name} FOR TABLE {string.Join(", ", tables)}", cancellationToken);
                return;
            }
        }
        catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.InsufficientPrivilege)
        {
        }

        throw new StreamException(
            StreamErrorKind.Configuration,
            $"The source's role {options.Source.User} may create no publication. As a superuser of the source's database run: CREATE PUBLICATION {name} FOR ALL TABLES;");
    }

    static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
