using System.Text;
using System.Text.RegularExpressions;
using Tributary.Load.Schema;
using Tributary.Postgres.Programs;
using Tributary.Testing;

namespace Tributary.Streaming.Tests.Ddl;

/// <summary>
/// Runs every command of the matrix against real servers, as a client sends it, and compares both sides: each row of each table, and each entry
/// of <c>pg_dump</c>. The page docs/ddl-conformance.md says what this test has shown.
/// </summary>
public sealed partial class DdlMatrixTests
{
    // The page is written anew when this variable is set; otherwise it must be what the test would write.
    const string WriteVariable = "TRIBUTARY_WRITE_DOCS";

    static readonly DdlCase[] Cases = [.. TableCases.All, .. ObjectCases.All];

    [Theory]
    [InlineData(15)]
    [InlineData(18)]
    public async Task Every_command_of_the_matrix_does_what_the_matrix_says(int major)
    {
        var installation = TestServers.Installation(major);
        await using var source = await TestServers.StartAsync(installation, ["wal_level = logical"]);
        await using var target = await TestServers.StartAsync(installation, []);
        var failures = new List<string>();
        for (var next = 0; next < Cases.Length;)
            next = await RunAsync(source, target, next, failures);

        Assert.True(failures.Count == 0, string.Join("\n\n", failures));
    }

    [Fact]
    public async Task The_page_shows_the_matrix()
    {
        var path = Path.Combine(Root(), "docs", "ddl-conformance.md");
        if (Environment.GetEnvironmentVariable(WriteVariable) == "1")
            await File.WriteAllTextAsync(path, Page(), TestContext.Current.CancellationToken);

        Assert.Equal(Page(), await File.ReadAllTextAsync(path, TestContext.Current.CancellationToken));
    }

    // Answers the first case that has not been run: a command that stops the stream costs its successors nothing.
    static async Task<int> RunAsync(PostgresServer source, PostgresServer target, int first, List<string> failures)
    {
        await using var stream = await StreamHarness.CreateAsync(source, target);
        await stream.StartAndCatchUpAsync();
        var only = Environment.GetEnvironmentVariable("TRIBUTARY_DDL_CASE");
        var next = first;
        for (; next < Cases.Length; next++)
        {
            var item = Cases[next];
            if (item.SinceMajor > source.Installation.Major || (only is not null && !item.Command.Contains(only, StringComparison.OrdinalIgnoreCase)))
                continue;
            try
            {
                await RunCaseAsync(stream, source, next);
                await stream.CatchUpAsync();
            }
            catch (Exception exception) when (exception is StreamException or TimeoutException or ChildProcessException)
            {
                failures.Add($"{Name(next)} {item.Category}, {item.Command}: {exception.Message}");
                await CompareAsync(stream, source, target, first, next, failures);
                return next + 1;
            }
        }

        await CompareAsync(stream, source, target, first, next, failures);
        await stream.StopAsync();
        return next;
    }

    static string Name(int index) => $"case_{index:000}";

    static string Sql(string template, int index) => template
        .Replace("{s}", Name(index), StringComparison.Ordinal)
        .Replace("{role}", "matrix_role_one", StringComparison.Ordinal).Replace("{role2}", "matrix_role_two", StringComparison.Ordinal);

    static async Task RunCaseAsync(StreamHarness stream, PostgresServer source, int index)
    {
        var item = Cases[index];
        await PsqlAsync(stream, source, "DO $$ BEGIN IF to_regrole('matrix_role_one') IS NULL THEN CREATE ROLE matrix_role_one; CREATE ROLE matrix_role_two; END IF; END $$", mustFail: false);
        await PsqlAsync(stream, source, Sql($"CREATE SCHEMA {{s}};; {item.Setup}", index), mustFail: false);
        await PsqlAsync(stream, source, Sql(item.Sql.TrimStart('!'), index), item.Sql.StartsWith('!'));
        await PsqlAsync(stream, source, Sql(item.Rows, index), mustFail: false);
    }

    // Each -c is one string of the simple protocol, as an interactive client and most scripts send it; all in one session.
    static async Task PsqlAsync(StreamHarness stream, PostgresServer source, string sql, bool mustFail)
    {
        var strings = sql.Split(";;", StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        if (strings.Length == 0)
            return;
        var result = await ChildProcesses.RunAsync(
            new ChildProcessSpec(source.Installation.ClientProgram("psql"),
            [
                "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--host=127.0.0.1", $"--port={source.Port}", "--username=postgres",
                new Npgsql.NpgsqlConnectionStringBuilder(stream.Source).Database!, .. strings.SelectMany(text => new[] { "-c", text }),
            ]), TestContext.Current.CancellationToken);
        if (!mustFail)
            result.EnsureSucceeded("psql");
        else
            Assert.False(result.Succeeded);
    }

    static async Task CompareAsync(StreamHarness stream, PostgresServer source, PostgresServer target, int first, int end, List<string> failures)
    {
        var (before, after) = (await SchemaDump.ReadAsync(source, stream.Source, TestContext.Current.CancellationToken), await SchemaDump.ReadAsync(target, stream.Target, TestContext.Current.CancellationToken));
        var reports = await StreamHarness.ColumnAsync(stream.Target, "SELECT concat_ws(' ', commit_end_lsn, tag, object, why) FROM tributary.schema_report");
        foreach (var index in Enumerable.Range(first, end - first))
        {
            List<string> differences = [.. SchemaDump.Differences(Of(before, index), Of(after, index))];
            differences.AddRange(await RowDifferencesAsync(stream, index));
            var told = reports.Where(report => report.Contains(Name(index), StringComparison.Ordinal)).ToList();
            var item = Cases[index];
            var isRight = item.Outcome switch
            {
                DdlOutcome.Carried => differences.Count == 0 && told.Count == 0,
                DdlOutcome.Reported => told.Count > 0,
                _ => told.Count == 0,
            };
            if (!isRight)
                failures.Add($"{Name(index)} {item.Category}, {item.Command}: expected {item.Outcome}; reports: {string.Join(", ", told)}; differences:\n  {string.Join("\n  ", differences)}");
        }
    }

    static Dictionary<string, string> Of(Dictionary<string, string> entries, int index) => entries
        .Where(entry => CaseName().Match(entry.Key + entry.Value) is { Success: true } match && match.Value == Name(index)).ToDictionary(entry => entry.Key, entry => entry.Value);

    static async Task<List<string>> RowDifferencesAsync(StreamHarness stream, int index)
    {
        var differences = new List<string>();
        var tables = await StreamHarness.ColumnAsync(
            stream.Source,
            $"SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname LIKE '{Name(index)}%' AND (c.relkind = 'r' AND c.relpersistence = 'p' OR c.relkind = 'm' AND c.relispopulated)");
        foreach (var table in tables)
        {
            var rows = $"SELECT r FROM (SELECT (SELECT jsonb_object_agg(key, value) FROM jsonb_each_text(to_jsonb(t)))::text AS r FROM {table} AS t) x ORDER BY r COLLATE \"C\"";
            try
            {
                var (here, there) = (await StreamHarness.ColumnAsync(stream.Source, rows), await StreamHarness.ColumnAsync(stream.Target, rows));
                if (!here.SequenceEqual(there))
                    differences.Add($"rows of {table} differ:\n{string.Join('\n', here)}\n--- target:\n{string.Join('\n', there)}");
            }
            catch (Npgsql.PostgresException exception)
            {
                differences.Add($"rows of {table}: {exception.MessageText}");
            }
        }

        return differences;
    }

    static string Page()
    {
        var page = new StringBuilder(
            """
            # What becomes of each command that changes the schema

            This page is written by `DdlMatrixTests`, which runs every line against real servers, with rows before and after, and compares both sides by
            `pg_dump` and row by row. It holds for a source with event triggers: PostgreSQL 14 or later, streamed by a superuser. What a stream carries
            without them is [at the end](#without-event-triggers).

            *carried*: the target is the same afterwards. *reported*: it is not, and the stream says so with the position, in its status, its log and the
            target's table `tributary.schema_report`. *not visible*: no event trigger sees the command, so nothing is said.

            """);
        foreach (var category in Cases.GroupBy(item => item.Category))
        {
            page.Append($"\n## {category.Key}\n\n| command | outcome | |\n| --- | --- | --- |\n");
            foreach (var item in category)
            {
                var outcome = item.Outcome switch { DdlOutcome.Carried => "carried", DdlOutcome.Reported => "reported", _ => "not visible" };
                page.Append($"| {item.Command} | {outcome} | {item.Note} |\n".Replace("|  |", "| |", StringComparison.Ordinal));
            }
        }

        page.Append(
            """

            ## Without event triggers

            Where the source's role may not create event triggers, or the source is PostgreSQL 13 or a standby, a stream follows the descriptions that come before a
            table's rows. They show columns and the names of tables, and nothing else: no new table, no index, constraint, view or function, and no change of a
            table that is not written to afterwards. `WithoutTriggersTests` runs every line with a source of PostgreSQL 13, 15 and 18.

            *carried*: the target has the same columns and rows afterwards. *reported*: the target follows, and what it does not have is reported as above. *stops*: the
            stream stops before the first row of the new shape, with nothing of it written, and says what to do.

            | change of a table | outcome | |
            | --- | --- | --- |

            """);
        foreach (var item in DescriptionCase.All)
            page.Append($"| {item.Command} | {item.Outcome.ToString().ToLowerInvariant()} | {item.Note} |\n".Replace("|  |", "| |", StringComparison.Ordinal));
        return page.ToString();
    }

    static string Root()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder!.FullName, "Tributary.slnx")))
            folder = folder.Parent;
        return folder.FullName;
    }

    [GeneratedRegex(@"case_\d\d\d")]
    private static partial Regex CaseName();
}
