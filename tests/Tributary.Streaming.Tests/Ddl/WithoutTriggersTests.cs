using Tributary.Streaming.Hosting;
using Tributary.Testing;

namespace Tributary.Streaming.Tests.Ddl;

/// <summary>Changes of the schema where the source's role may not create event triggers: what the descriptions of rows show.</summary>
public sealed class WithoutTriggersTests
{
    const string Item = "CREATE TABLE item (id int PRIMARY KEY, v text, w int); INSERT INTO item VALUES (1, 'a', 10), (2, 'b', 20)";

    public static TheoryData<int> Majors => [13, 15, 18];

    [Theory]
    [MemberData(nameof(Majors))]
    public async Task Every_change_that_can_be_followed_is(int major)
    {
        var cases = DescriptionCase.All.Where(static item => item.Outcome != DescriptionOutcome.Stops).ToList();
        await using var stream = await WithoutTriggersHarness.CreateAsync(major, string.Join(';', cases.Select(Setup)));
        await stream.StartAndCatchUpAsync();
        foreach (var item in cases)
            await stream.OwnerAsync(Of(item, item.Sql));
        await stream.CatchUpAsync();

        var reports = await stream.ReportsAsync();
        var failures = new List<string>();
        foreach (var item in cases)
        {
            var told = reports.Where(report => report.Contains(Name(item), StringComparison.Ordinal)).ToList();
            if (told.Count > 0 != (item.Outcome == DescriptionOutcome.Reported))
                failures.Add($"{item.Command}: reports {string.Join(", ", told)}");
            var (here, there) = (await WithoutTriggersHarness.ColumnsAsync(stream.Source, Name(item)), await WithoutTriggersHarness.ColumnsAsync(stream.Target, Name(item)));
            if (item.SameRows && !here.SequenceEqual(there))
                failures.Add($"{item.Command}: columns\n{string.Join('\n', here)}\n--- target:\n{string.Join('\n', there)}");
            if (item.SameRows)
                failures.AddRange(await RowsAsync(stream, item));
        }

        Assert.True(failures.Count == 0, string.Join("\n\n", failures));
        Assert.True(stream.Pipeline!.Status.FollowsDescriptions);
        Assert.Equal(0, stream.Pipeline.Status.MissingRows);
    }

    [Theory]
    [MemberData(nameof(Majors))]
    public async Task What_cannot_be_followed_stops_clearly(int major)
    {
        foreach (var item in DescriptionCase.All.Where(static item => item.Outcome == DescriptionOutcome.Stops))
        {
            await using var stream = await WithoutTriggersHarness.CreateAsync(major, Setup(item));
            await stream.StartAndCatchUpAsync();
            var before = await WithoutTriggersHarness.ColumnsAsync(stream.Target, Name(item));

            await stream.OwnerAsync(Of(item, item.Sql));
            var failure = await stream.FailureAsync();

            Assert.Equal(StreamErrorKind.Schema, failure.Kind);
            Assert.Contains($"{Name(item)}\".\"t\"", failure.Message, StringComparison.Ordinal);
            Assert.Contains("Position: ", failure.Message, StringComparison.Ordinal);
            Assert.Contains("start the stream again", failure.Message, StringComparison.Ordinal);
            Assert.Equal(before, await WithoutTriggersHarness.ColumnsAsync(stream.Target, Name(item)));
        }
    }

    [Theory]
    [MemberData(nameof(Majors))]
    public async Task Starts_in_between_neither_miss_a_change_nor_do_one_twice(int major)
    {
        await using var stream = await WithoutTriggersHarness.CreateAsync(major, Item);
        await stream.StartAndCatchUpAsync();
        await stream.OwnerAsync("ALTER TABLE item ADD x int DEFAULT 3; INSERT INTO item VALUES (3, 'c', 30, 4)");
        await stream.CatchUpAsync();
        await stream.StopAsync();
        await stream.OwnerAsync("UPDATE item SET x = 5 WHERE id = 1; ALTER TABLE item RENAME v TO name; INSERT INTO item VALUES (4, 'd', 40, 6); ALTER TABLE item DROP w; ALTER TABLE item RENAME TO thing; INSERT INTO thing VALUES (5, 'e', 7)");
        await stream.StartAndCatchUpAsync();
        await stream.StopAsync();
        await stream.StartAndCatchUpAsync();
        await stream.OwnerAsync("UPDATE thing SET x = 8 WHERE id = 2");
        await stream.CatchUpAsync();

        await stream.AssertEqualAsync();
        await stream.AssertSameColumnsAsync();
        Assert.Equal(0, stream.Pipeline!.Status.SchemaChanges);
    }

    [Theory]
    [MemberData(nameof(Majors))]
    public async Task A_large_transaction_changes_the_table_in_its_middle(int major)
    {
        await using var stream = await WithoutTriggersHarness.CreateAsync(major, Item);
        stream.Options = stream.Options with { TransactionBytesMax = 64 * 1024 };
        await stream.StartAndCatchUpAsync();

        await stream.OwnerAsync(
            "BEGIN; INSERT INTO item SELECT i, repeat('x', 100), i FROM generate_series(10, 5000) i; ALTER TABLE item ADD x int DEFAULT 1, DROP w;" +
            "INSERT INTO item SELECT i, repeat('y', 100), i FROM generate_series(5001, 9000) i; SAVEPOINT s; ALTER TABLE item ADD z int; INSERT INTO item SELECT i FROM generate_series(9001, 12000) i; ROLLBACK TO s;" +
            "UPDATE item SET x = 2 WHERE id % 3 = 0; COMMIT");
        await stream.OwnerAsync("BEGIN; INSERT INTO item SELECT i, repeat('x', 100), i FROM generate_series(20000, 25000) i; COMMIT");
        await stream.CatchUpAsync();

        await stream.AssertEqualAsync();
        await stream.AssertSameColumnsAsync();
    }

    [Theory]
    [MemberData(nameof(Majors))]
    public async Task A_large_transaction_that_drops_a_column_and_adds_its_name_again_is_not_taken_for_unchanged(int major)
    {
        await using var stream = await WithoutTriggersHarness.CreateAsync(major, Item);
        await stream.StartAndCatchUpAsync();

        await stream.OwnerAsync("BEGIN; ALTER TABLE item DROP w, ADD w int; INSERT INTO item SELECT i, repeat('x', 100), i FROM generate_series(10, 9000) i; COMMIT");
        var failure = await stream.FailureAsync();

        Assert.Equal(StreamErrorKind.Schema, failure.Kind);
        Assert.Contains("dropped and added again", failure.Message, StringComparison.Ordinal);
        await stream.TargetAsync($"ALTER TABLE item DROP w, ADD w int; DELETE FROM tributary.table_shape WHERE pipeline = '{stream.Options.Name}'");
        await stream.StartAndCatchUpAsync();
        await stream.AssertEqualAsync();
    }

    [Theory]
    [MemberData(nameof(Majors))]
    public async Task A_column_dropped_and_added_again_is_followed_when_the_catalog_was_seen_between(int major)
    {
        await using var stream = await WithoutTriggersHarness.CreateAsync(major, Item);
        await stream.StartAndCatchUpAsync();

        await stream.OwnerAsync("ALTER TABLE item DROP w, ADD w int DEFAULT 7");
        // The second reading begins when the stream has taken the first to its notes.
        for (var reading = 0; reading < 2; reading++)
            await ReadingAsync(stream);
        await stream.OwnerAsync("INSERT INTO item VALUES (3, 'c', 30); UPDATE item SET v = 'z' WHERE id = 1");
        await stream.CatchUpAsync();

        await stream.AssertEqualAsync();
        await stream.AssertSameColumnsAsync();
        Assert.Empty(await stream.ReportsAsync());
    }

    // Each beat reads the catalog, and the session shows when it did last.
    static async Task ReadingAsync(StreamHarness stream)
    {
        var since = (string)(await StreamHarness.ScalarAsync(stream.Source, "SELECT clock_timestamp()::text"))!;
        await StreamHarness.UntilAsync(async () => await StreamHarness.ScalarAsync(
            stream.Source, $"SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'tributary {stream.Options.Name} catalog' AND query_start > '{since}')") is true);
    }

    [Theory]
    [MemberData(nameof(Majors))]
    public async Task A_column_of_a_users_type_that_comes_later_comes_right_though_the_target_numbers_types_otherwise(int major)
    {
        await using var target = await TestServers.StartAsync([]);
        await using var stream = await WithoutTriggersHarness.CreateAsync(
            await TestServers.ForMajorAsync(major), target, Item + "; CREATE TYPE other AS ENUM ('x'); CREATE TYPE pair AS (n int, t text)");
        await stream.StartAndCatchUpAsync();

        // A row that has come shows that the form of the rows has been chosen.
        await stream.OwnerAsync("UPDATE item SET w = 11 WHERE id = 1");
        await stream.CatchUpAsync();
        await stream.OwnerAsync("ALTER TABLE item ADD p pair[]; INSERT INTO item VALUES (3, 'c', 30, ARRAY[ROW(1, 'q')::pair]); ALTER TABLE item ADD r regclass; INSERT INTO item VALUES (4, 'd', 40, NULL, 'pg_class')");
        await stream.CatchUpAsync();

        await stream.AssertEqualAsync();
        // From Postgres 14 on rows can come in binary; the stream asks for text when the first such type comes.
        Assert.Equal(major >= 14 ? 1 : 0, stream.Pipeline!.Status.Reconnections);
        if (major >= 14)
            Assert.Contains("binary form", stream.Pipeline.Status.LastError, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_stream_that_is_older_than_its_shapes_takes_columns_by_their_names()
    {
        await using var stream = await WithoutTriggersHarness.CreateAsync(15, Item);
        await stream.StartAndCatchUpAsync();
        await stream.StopAsync();
        await stream.TargetAsync("DELETE FROM tributary.table_shape");
        await stream.OwnerAsync("ALTER TABLE item RENAME v TO name; ALTER TABLE item ADD x int DEFAULT 4; INSERT INTO item VALUES (3, 'c', 30, 1)");
        await stream.StartAndCatchUpAsync();

        await stream.AssertEqualAsync();
        await stream.AssertSameColumnsAsync();
    }

    [Fact]
    public async Task A_column_that_was_added_and_dropped_before_it_was_read_is_followed_and_reported()
    {
        await using var stream = await WithoutTriggersHarness.CreateAsync(15, Item);
        await stream.StartAndCatchUpAsync();
        await stream.StopAsync();
        await stream.OwnerAsync("ALTER TABLE item ADD x int DEFAULT 4; INSERT INTO item VALUES (3, 'c', 30, 1); ALTER TABLE item DROP x; INSERT INTO item VALUES (4, 'd', 40)");
        await stream.StartAndCatchUpAsync();

        await stream.AssertEqualAsync();
        await stream.AssertSameColumnsAsync();
        Assert.Contains("\"x\"", Assert.Single(await stream.ReportsAsync()), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_check_names_the_mode_and_why()
    {
        await using var stream = await WithoutTriggersHarness.CreateAsync(15, Item);

        var findings = await StreamPreflight.CheckAsync(stream.Options, TestContext.Current.CancellationToken);

        var finding = Assert.Single(findings, static finding => finding.Problem.Contains("event triggers", StringComparison.Ordinal));
        Assert.Equal(FindingSeverity.Note, finding.Severity);
        Assert.Contains("descriptions of rows", finding.Problem, StringComparison.Ordinal);
        Assert.Contains("SUPERUSER", finding.Sql, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_the_mode_the_first_row_of_another_shape_stops_the_stream()
    {
        await using var stream = await WithoutTriggersHarness.CreateAsync(15, Item);
        stream.Options = stream.Options with { Schema = SchemaMode.None };
        await stream.StartAndCatchUpAsync();

        await stream.OwnerAsync("ALTER TABLE item ADD x int; INSERT INTO item VALUES (3, 'c', 30, 4)");

        Assert.Equal(StreamErrorKind.Schema, (await stream.FailureAsync()).Kind);
        Assert.False(stream.Pipeline!.Status.FollowsDescriptions);
    }

    static string Name(DescriptionCase item) => $"case_{Array.IndexOf(DescriptionCase.All, item):000}";

    static string Of(DescriptionCase item, string sql) => sql.Replace("{s}", Name(item), StringComparison.Ordinal);

    static string Setup(DescriptionCase item) => Of(item, $"CREATE SCHEMA {{s}}; {item.Setup}");

    static async Task<List<string>> RowsAsync(StreamHarness stream, DescriptionCase item)
    {
        var failures = new List<string>();
        var tables = await StreamHarness.ColumnAsync(
            stream.Source, $"SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname LIKE '{Name(item)}%' AND c.relkind = 'r'");
        foreach (var table in tables)
        {
            var rows = $"SELECT t::text FROM {table} AS t ORDER BY t::text COLLATE \"C\"";
            var (here, there) = (await StreamHarness.ColumnAsync(stream.Source, rows), await StreamHarness.ColumnAsync(stream.Target, rows));
            if (!here.SequenceEqual(there))
                failures.Add($"{item.Command}: rows of {table}\n{string.Join('\n', here)}\n--- target:\n{string.Join('\n', there)}");
        }

        return failures;
    }
}
