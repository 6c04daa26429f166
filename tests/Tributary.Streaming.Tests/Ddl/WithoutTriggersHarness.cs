using Tributary.Testing;

namespace Tributary.Streaming.Tests.Ddl;

/// <summary>A stream whose role at the source may not create event triggers.</summary>
static class WithoutTriggersHarness
{
    const string Columns =
        """
        SELECT concat_ws(' ', n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attgenerated,
            CASE WHEN a.attidentity = '' THEN pg_get_expr(d.adbin, d.adrelid) END)
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE c.relkind IN ('r', 'p') AND n.nspname ~ '^(case_|public)' AND a.attnum > 0 AND NOT a.attisdropped ORDER BY n.nspname, c.relname, a.attnum
        """;

    public static async Task<StreamHarness> CreateAsync(int major, string schema)
    {
        var server = await TestServers.ForMajorAsync(major);
        return await CreateAsync(server, server, schema);
    }

    public static async Task<StreamHarness> CreateAsync(Postgres.Programs.PostgresServer source, Postgres.Programs.PostgresServer target, string schema)
    {
        var stream = await StreamHarness.CreateAsync(source, target);
        await stream.SourceAsync($"CREATE ROLE {Role(stream)} LOGIN REPLICATION; GRANT CREATE ON DATABASE {stream.Options.Source.Database} TO {Role(stream)}; GRANT CREATE ON SCHEMA public TO {Role(stream)}");
        stream.Options = stream.Options with { Source = stream.Options.Source with { User = Role(stream) } };
        await stream.OwnerAsync(schema);
        return stream;
    }

    public static string Role(this StreamHarness stream) => $"role_{stream.Options.Name}";

    /// <summary>Runs commands at the source as the owner of its tables.</summary>
    public static Task OwnerAsync(this StreamHarness stream, string sql) =>
        stream.SourceAsync($"SET ROLE {stream.Role()}; {sql.Replace("{pub}", stream.Options.PublicationName, StringComparison.Ordinal)}");

    public static async Task AssertSameColumnsAsync(this StreamHarness stream) =>
        Assert.Equal(await StreamHarness.ColumnAsync(stream.Source, Columns), await StreamHarness.ColumnAsync(stream.Target, Columns));

    public static async Task<List<string>> ColumnsAsync(string database, string schema) =>
        [.. (await StreamHarness.ColumnAsync(database, Columns)).Where(line => line.StartsWith(schema, StringComparison.Ordinal))];

    public static Task<List<string>> ReportsAsync(this StreamHarness stream) =>
        StreamHarness.ColumnAsync(stream.Target, "SELECT concat_ws(' ', commit_end_lsn, tag, object, why) FROM tributary.schema_report");
}
