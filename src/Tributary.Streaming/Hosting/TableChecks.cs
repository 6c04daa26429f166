using Npgsql;
using Tributary.Postgres;

namespace Tributary.Streaming.Hosting;

/// <summary>Tables of the source that cannot be carried as they are.</summary>
internal static class TableChecks
{
    // Named tables a finding lists; the rest is counted.
    const int TablesShownMax = 5;

    const string UserTables =
        "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'tributary')";

    public static async Task RunAsync(NpgsqlConnection source, StreamOptions options, List<StreamFinding> findings, CancellationToken cancellationToken)
    {
        var subject = $"source {options.Source}";
        var keyless = await ListAsync(
            source,
            """
            c.relkind = 'r' AND c.relpersistence = 'p' AND (c.relreplident = 'n'
                OR c.relreplident = 'd' AND NOT EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisprimary)
                OR c.relreplident = 'i' AND NOT EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisreplident))
            """, cancellationToken);
        if (keyless.Count > 0)
        {
            findings.Add(new StreamFinding(
                FindingSeverity.Warning, subject,
                $"tables without a replica identity: {Shown(keyless)}. Once they are published, Postgres refuses updates and deletes of them at the source",
                "Give each a primary key, or let Postgres log whole rows.", Each(keyless, "REPLICA IDENTITY FULL"))
            { StopsSource = true });
        }

        var unlogged = await ListAsync(source, "c.relkind = 'r' AND c.relpersistence = 'u'", cancellationToken);
        if (unlogged.Count > 0)
        {
            findings.Add(new StreamFinding(
                FindingSeverity.Note, subject, $"unlogged tables are not in the source's log, so they are not carried: {Shown(unlogged)}", "Make them logged if they should be; that writes them to the log once.",
                Each(unlogged, "SET LOGGED")));
        }

        // A publication of chosen tables says nothing of those that are created later. Partitions stand in it by themselves, or by their root.
        var publication = SqlQuoting.Literal(options.PublicationName);
        var unpublished = await ListAsync(
            source,
            $"""
            {(options.PartitionsViaRoot ? "c.relkind IN ('r', 'p') AND NOT c.relispartition" : "c.relkind = 'r'")} AND c.relpersistence = 'p'
                AND EXISTS (SELECT FROM pg_catalog.pg_publication WHERE pubname = {publication} AND NOT puballtables)
                AND NOT EXISTS (SELECT FROM pg_catalog.pg_publication_tables p WHERE p.pubname = {publication} AND p.schemaname = n.nspname AND p.tablename = c.relname)
            """, cancellationToken);
        if (unpublished.Count > 0)
        {
            findings.Add(new StreamFinding(
                FindingSeverity.Note, subject, $"the publication {options.PublicationName} leaves out {Shown(unpublished)}: their rows are not carried",
                "Add those that should be before the stream starts; one that is added later is carried from then on, without the rows it has.",
                string.Join("\n", unpublished.Select(table => $"ALTER PUBLICATION {SqlQuoting.Identifier(options.PublicationName)} ADD TABLE {table};"))));
        }

        // Policies hold for a copy, which reads as the role; the log holds every row. An owner is exempt unless they are forced.
        var hidden = options.Stdout is not null ? [] : await ListAsync(
            source,
            """
            c.relkind IN ('r', 'p') AND c.relrowsecurity AND (c.relforcerowsecurity OR NOT pg_catalog.pg_has_role(c.relowner, 'USAGE'))
                AND NOT (SELECT rolsuper OR rolbypassrls FROM pg_catalog.pg_roles WHERE rolname = current_user)
            """, cancellationToken);
        if (hidden.Count > 0)
        {
            findings.Add(new StreamFinding(
                FindingSeverity.Error, subject, $"row security hides rows of {Shown(hidden)} from the role {options.Source.User}, and the copy of the existing rows would lack them", "Exempt the role.",
                $"ALTER ROLE {SqlQuoting.Identifier(options.Source.User)} BYPASSRLS;"));
        }
    }

    static string Each(List<string> tables, string action) => string.Join("\n", tables.Select(table => $"ALTER TABLE {table} {action};"));

    static string Shown(List<string> tables) =>
        $"{string.Join(", ", tables.Take(TablesShownMax))}{(tables.Count > TablesShownMax ? $" and {tables.Count - TablesShownMax} more" : "")}";

    static async Task<List<string>> ListAsync(NpgsqlConnection source, string condition, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand($"SELECT n.nspname::text, c.relname::text {UserTables} AND {condition} ORDER BY 1, 2", source);
        var tables = new List<string>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            tables.Add(SqlQuoting.Qualified(reader.GetString(0), reader.GetString(1)));
        return tables;
    }
}
