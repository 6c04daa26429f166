using Tributary.Streaming.Hosting;
using Tributary.Testing;

namespace Tributary.Streaming.Tests;

public sealed class PreflightTests
{
    static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Rights_passwords_and_room_for_the_stream_are_checked()
    {
        await using var server = await TestServers.StartAsync(["wal_level = logical", "max_replication_slots = 1", "max_wal_senders = 1"]);
        await using var stream = await StreamHarness.CreateAsync(server, server, "CREATE TABLE item (id int PRIMARY KEY)");
        var rules = Path.Combine(server.DataDirectory, "pg_hba.conf");
        await File.WriteAllTextAsync(rules, "host all secured 127.0.0.1/32 scram-sha-256\n" + await File.ReadAllTextAsync(rules, Cancelled), Cancelled);
        await stream.SourceAsync("CREATE ROLE secured LOGIN PASSWORD 'right'");
        await stream.SourceAsync("SELECT pg_reload_conf(), pg_create_logical_replication_slot('taken', 'pgoutput')");
        await StreamHarness.UntilAsync(async () => await StreamHarness.ScalarAsync(stream.Source, "SELECT EXISTS (SELECT FROM pg_hba_file_rules WHERE 'secured' = ANY (user_name))") is true);

        async Task<string> FindAsync(string? password)
        {
            var source = stream.Options.Source with { User = "secured", Password = password };
            var findings = await StreamPreflight.CheckAsync(stream.Options with { Source = source }, Cancelled);
            return string.Join("\n", findings.Select(finding => $"{finding.Problem}: {finding.Remedy} {finding.Sql}"));
        }

        await StreamHarness.UntilAsync(async () => (await FindAsync("wrong")).Contains("refuses the password of secured", StringComparison.Ordinal));
        Assert.DoesNotContain("wrong", await FindAsync("wrong"), StringComparison.Ordinal);
        Assert.Contains("the URL has none", await FindAsync(null), StringComparison.Ordinal);
        var found = await FindAsync("right");
        Assert.Contains("ALTER ROLE \"secured\" REPLICATION;", found, StringComparison.Ordinal);
        Assert.Contains("all 1 replication slots are in use", found, StringComparison.Ordinal);
        Assert.Contains("WAL senders", found, StringComparison.Ordinal);
        Assert.Contains("CREATE PUBLICATION", found, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Retention_tables_and_origins_are_checked_each_with_the_statement_that_mends_it()
    {
        await using var server = await TestServers.StartAsync(
            ["wal_level = logical", "max_replication_slots = 1", "max_slot_wal_keep_size = 16MB", "wal_sender_timeout = 2s", "logical_decoding_work_mem = 1MB"]);
        await using var stream = await StreamHarness.CreateAsync(
            server, server, "CREATE UNLOGGED TABLE cache (id int PRIMARY KEY); CREATE TABLE secret (id int PRIMARY KEY); ALTER TABLE secret ENABLE ROW LEVEL SECURITY; CREATE ROLE reader LOGIN REPLICATION");
        await stream.SourceAsync($"SELECT pg_create_logical_replication_slot('{stream.Options.SlotName}', 'pgoutput')");
        await stream.TargetAsync("SELECT pg_replication_origin_create('taken')");

        var found = await FindAsync(stream.Options);

        AssertFound(found, FindingSeverity.Warning, "max_slot_wal_keep_size is 16 MB", "ALTER SYSTEM SET max_slot_wal_keep_size");
        AssertFound(found, FindingSeverity.Warning, "wal_sender_timeout is 2000 ms", "ALTER SYSTEM SET wal_sender_timeout");
        AssertFound(found, FindingSeverity.Note, "logical_decoding_work_mem is 1024 kB", "ALTER SYSTEM SET logical_decoding_work_mem");
        AssertFound(found, FindingSeverity.Note, "unlogged tables", "ALTER TABLE \"public\".\"cache\" SET LOGGED;");
        AssertFound(found, FindingSeverity.Warning, "all 1 replication origins are taken", "ALTER SYSTEM SET max_replication_slots");
        Assert.DoesNotContain(found, finding => finding.Severity == FindingSeverity.Error);

        var asReader = await FindAsync(stream.Options with { Source = stream.Options.Source with { User = "reader" }, Target = stream.Options.Target with { User = "reader" } });
        AssertFound(asReader, FindingSeverity.Error, "row security hides rows of \"public\".\"secret\"", "ALTER ROLE \"reader\" BYPASSRLS;");
        AssertFound(asReader, FindingSeverity.Error, "may not set session_replication_role", "GRANT SET ON PARAMETER session_replication_role TO \"reader\";");
        AssertFound(asReader, FindingSeverity.Error, "may not create schemas", "GRANT CREATE ON DATABASE");
        AssertFound(asReader, FindingSeverity.Note, "may not use replication origins", "GRANT EXECUTE ON FUNCTION pg_replication_origin_session_setup(text) TO \"reader\";");
        AssertFound(asReader, FindingSeverity.Note, "there can be no event triggers", "ALTER ROLE \"reader\" SUPERUSER;");

        for (var segment = 0; segment < 4; segment++)
            await stream.SourceAsync("SELECT pg_logical_emit_message(false, 'fill', 'x'), pg_switch_wal()");
        await stream.SourceAsync("CHECKPOINT");
        AssertFound(await FindAsync(stream.Options), FindingSeverity.Error, "has lost log that the stream needs", null);
    }

    [Fact]
    public async Task Text_and_extensions_of_both_sides_are_compared()
    {
        var server = await TestServers.SharedAsync();
        await using var stream = await StreamHarness.CreateAsync();
        var (source, target, role) = ($"text_{stream.Options.Name}", $"latin_{stream.Options.Name}", $"plain_{stream.Options.Name}");
        await stream.SourceAsync($"CREATE DATABASE {source} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C.UTF-8' LC_CTYPE 'C'");
        await stream.SourceAsync($"CREATE DATABASE {target} TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'");
        await stream.SourceAsync($"CREATE ROLE {role} LOGIN");
        var options = stream.Options with { Source = stream.Options.Source with { Database = source }, Target = stream.Options.Target with { Database = target, User = role } };
        await using (var connection = new Npgsql.NpgsqlConnection(server.ConnectionString(source) + ";Pooling=false"))
        {
            await connection.OpenAsync(Cancelled);
            await using var create = new Npgsql.NpgsqlCommand("CREATE EXTENSION pageinspect; CREATE EXTENSION pg_trgm", connection);
            await create.ExecuteNonQueryAsync(Cancelled);
        }

        var found = await FindAsync(options);

        AssertFound(found, FindingSeverity.Warning, "encoding is LATIN1, the source's UTF8", $"CREATE DATABASE \"{target}\" TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C.");
        AssertFound(found, FindingSeverity.Warning, "sorts by C, the source by C.", null);
        AssertFound(found, FindingSeverity.Error, "uses the extension pageinspect", "CREATE EXTENSION \"pageinspect\";");
        Assert.DoesNotContain(found, finding => finding.Problem.Contains("pg_trgm", StringComparison.Ordinal));
        Assert.DoesNotContain(await FindAsync(options with { Target = options.Target with { Database = source, User = stream.Options.Target.User } }), finding => finding.Severity > FindingSeverity.Note);
    }

    [Fact]
    public async Task Tables_that_the_publication_leaves_out_are_named()
    {
        await using var stream = await StreamHarness.CreateAsync(
            "CREATE TABLE item (id int PRIMARY KEY); CREATE TABLE other (id int PRIMARY KEY); CREATE TABLE sale (id int PRIMARY KEY) PARTITION BY RANGE (id); CREATE TABLE sale_1 PARTITION OF sale DEFAULT");

        await stream.SourceAsync($"CREATE PUBLICATION {stream.Options.PublicationName} FOR TABLE item, sale");
        AssertFound(await FindAsync(stream.Options), FindingSeverity.Note, "leaves out \"public\".\"other\": their rows", $"ALTER PUBLICATION \"{stream.Options.PublicationName}\" ADD TABLE \"public\".\"other\";");
        await stream.SourceAsync($"DROP PUBLICATION {stream.Options.PublicationName}; CREATE PUBLICATION {stream.Options.PublicationName} FOR ALL TABLES");

        Assert.DoesNotContain(await FindAsync(stream.Options), finding => finding.Problem.Contains("leaves out", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Init_makes_what_a_stream_needs_but_no_slot_and_can_be_repeated_and_taken_back()
    {
        await using var stream = await StreamHarness.CreateAsync("CREATE TABLE item (id int PRIMARY KEY); INSERT INTO item VALUES (1)");

        var made = await StreamSetup.PrepareAsync(stream.Options, Cancelled);
        Assert.Equal(made, await StreamSetup.PrepareAsync(stream.Options, Cancelled));

        Assert.Equal(2, made.Count);
        Assert.Equal([stream.Options.PublicationName], await StreamHarness.ColumnAsync(stream.Source, "SELECT pubname::text FROM pg_publication"));
        Assert.Equal(["0"], await StreamHarness.ColumnAsync(stream.Target, "SELECT count(*)::text FROM tributary.progress"));
        Assert.Empty(await StreamHarness.ColumnAsync(stream.Source, $"SELECT slot_name::text FROM pg_replication_slots WHERE slot_name = '{stream.Options.SlotName}'"));
        await StreamTeardown.DestroyAsync(stream.Options, dropCopied: false, Cancelled);
        Assert.Empty(await StreamHarness.ColumnAsync(stream.Source, "SELECT pubname::text FROM pg_publication"));

        await StreamSetup.PrepareAsync(stream.Options, Cancelled);
        await stream.StartAndCatchUpAsync();
        await stream.AssertEqualAsync();
        await StreamSetup.PrepareAsync(stream.Options, Cancelled);
    }

    static Task<IReadOnlyList<StreamFinding>> FindAsync(StreamOptions options) => StreamPreflight.CheckAsync(options, Cancelled);

    static void AssertFound(IReadOnlyList<StreamFinding> findings, FindingSeverity severity, string problem, string? sql)
    {
        var found = Assert.Single(findings, finding => finding.Problem.Contains(problem, StringComparison.Ordinal));
        Assert.Equal(severity, found.Severity);
        if (sql is not null)
            Assert.Contains(sql, found.Sql, StringComparison.Ordinal);
    }
}
