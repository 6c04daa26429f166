using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Npgsql;
using Tributary.Load.Kill;
using Tributary.Load.Latency;
using Tributary.Postgres.Programs;

namespace Tributary.Load.Schema;

/// <summary>
/// Random commands change the source's schema while writers change its rows, and both sides must be equal afterwards.
/// 1. Start both servers, some tables, the stream and the writers. 2. Run the commands. 3. Stop the writers and let the target catch up.
/// 4. Compare the dumps of both schemas, and each row of each table.
/// <c>TRIBUTARY_SCHEMA_TPS</c> sets the writers' rate; <c>TRIBUTARY_SCHEMA_LOG</c> names a file for the commands, to find one that went wrong.
/// </summary>
sealed class SchemaBenchmark : IBenchmark
{
    // Names that need quotes, and more than one byte a character; each starts with one table. A type of the users' own is there from the start,
    // since the first one makes the stream ask for its rows anew, once and for good, and here every reconnection counts as a stop.
    const string Start =
        """
        CREATE TABLE public.marker (id int PRIMARY KEY, n bigint NOT NULL);
        INSERT INTO public.marker VALUES (1, 0);
        CREATE SCHEMA alpha CREATE TABLE first (id int PRIMARY KEY, a text, b integer);
        CREATE SCHEMA "Beta 表" CREATE TABLE "Second ""one" (id bigint PRIMARY KEY, "select" text DEFAULT 'd');
        CREATE SCHEMA gamma CREATE TABLE third (id int PRIMARY KEY, a numeric(10,2), c jsonb);
        CREATE TYPE gamma.mood AS ENUM ('low', 'high');
        CREATE TABLE gamma.fourth (id int PRIMARY KEY, m gamma.mood, n gamma.mood[]);
        """;

    // After the copy, which leaves grants out. Foreign keys look at their tables with the rights of the owner, who may be this role.
    const string Rights = """GRANT USAGE ON SCHEMA alpha, "Beta 表", gamma TO pg_monitor""";

    const int DifferencesShown = 20;

    static readonly TimeSpan CatchUpTimeout = TimeSpan.FromMinutes(5);
    static readonly TimeSpan ProgressInterval = TimeSpan.FromSeconds(10);

    SchemaOptions _options = SchemaOptions.Default;

    public string Name => "schema";

    public string Work => "Differences after random commands have changed the schema under load";

    public RatioGoal Goal => new("differences of the schemas, rows lost or doubled, reports, and stops of the stream", 0, LowerIsBetter: true);

    static double PerSecond => double.Parse(Environment.GetEnvironmentVariable("TRIBUTARY_SCHEMA_TPS") ?? "500", CultureInfo.InvariantCulture);

    public string? Configure(IReadOnlyList<string> words)
    {
        if (SchemaOptions.Parse(words) is not { } options)
            return SchemaOptions.Usage;
        _options = options;
        return null;
    }

    public async Task<BenchmarkOutcome> RunAsync(CancellationToken cancellationToken)
    {
        // Step 1.
        var installation = _options.Installation;
        Console.WriteLine($"schema --commands {_options.Commands} --seed {_options.Seed} --postgres {installation.Major}");
        using var folder = new ScratchFolder("schema");
        string[] settings = ["fsync = off", "deadlock_timeout = 200ms", "max_locks_per_transaction = 256"];
        await using var source = await PostgresServer.CreateAsync(installation, folder.Below("source"), ["wal_level = logical", .. settings], cancellationToken);
        await using var target = await PostgresServer.CreateAsync(installation, folder.Below("target"), settings, cancellationToken);
        await MarkedTables.ExecuteAsync(source.ConnectionString(), Start, cancellationToken);
        await using var server = await TributaryServer.StartAsync(
            folder.Path, [$"source: {{ url: '{source.Url()}' }}", $"streams: [ {{ name: replica, target: {{ postgres: {{ url: '{target.Url()}' }} }} }} ]"], IsStreaming, cancellationToken);
        await using var watch = StreamWatch.Start(server);
        await MarkedTables.ExecuteAsync(source.ConnectionString(), Rights, cancellationToken);
        await using var session = await CommandSession.OpenAsync(
            source, Environment.GetEnvironmentVariable("TRIBUTARY_SCHEMA_LOG") ?? folder.Below("commands.sql"), cancellationToken);
        await using var writers = RacingWriters.Start(source.ConnectionString(), PerSecond, _options.Seed, () => session.Picture);

        // Step 2.
        var started = Stopwatch.GetTimestamp();
        await RunCommandsAsync(session, writers, watch, cancellationToken);
        var duration = Stopwatch.GetElapsedTime(started);

        // Step 3.
        await writers.StopAsync();
        await RefreshAsync(session, source, cancellationToken);
        var caughtUp = await CatchUpAsync(source, target, watch, cancellationToken);

        // Step 4.
        var differences = new List<string>();
        var rows = new RowComparison(0, 0, 0, [], null);
        if (caughtUp is not null)
        {
            differences.AddRange(SchemaDump.Differences(
                await SchemaDump.ReadAsync(source, source.ConnectionString(), cancellationToken), await SchemaDump.ReadAsync(target, target.ConnectionString(), cancellationToken)));
            rows = await RowComparison.RunAsync(source.ConnectionString(), target.ConnectionString(), cancellationToken);
            differences.AddRange(await ReportsAsync(target, cancellationToken));
        }

        foreach (var difference in differences.Take(DifferencesShown))
            Console.WriteLine($"seed {_options.Seed}: {difference}");
        if (rows.First is { } first)
            Console.WriteLine($"seed {_options.Seed}: rows differ in {string.Join(", ", rows.Tables)}; the first: {first}");
        if (watch.Error is { } error)
            Console.WriteLine($"seed {_options.Seed}: the stream stopped: {error}");
        return Outcome(installation, session, writers, watch, duration, caughtUp, differences.Count, rows);
    }

    BenchmarkOutcome Outcome(
        PostgresInstallation installation, CommandSession session, RacingWriters writers, StreamWatch watch, TimeSpan duration, TimeSpan? caughtUp, int differences, RowComparison rows)
    {
        Measurement Line(string what, string figure) => new(Role.Ours, what, figure, null, null);
        var isCompared = caughtUp is not null;
        return new BenchmarkOutcome(
            [
                new Measurement(
                    Role.Ours, "commands", $"{session.Done} of {session.KindsDone} kinds, {session.Done / duration.TotalSeconds:0.0} a second; {watch.Carried} carried", watch.CpuMs, watch.PeakBytes),
                Line("refused at the source", $"{session.Failed}{(session.Failed > 0 ? $" ({session.Reasons})" : "")}"),
                Line("row changes", $"{writers.Transactions / duration.TotalSeconds:0} tps; {writers.Failures} transactions met the change of a table ({writers.Reasons})"),
                Line("stops", $"{watch.Stops}"),
                Line("differences", isCompared ? $"{differences} of the schemas, {rows.Lost} rows lost and {rows.Doubled} doubled of {rows.Rows}" : "not compared, since the stream does not go on"),
            ],
            differences + rows.Lost + rows.Doubled + watch.Stops + (isCompared ? 0 : 1),
            $"seed {_options.Seed}, {duration.TotalSeconds:0} s, caught up {(caughtUp is { } time ? $"{time.TotalSeconds:0.0} s later" : "never")}; CPU of our process in all, and its most memory; "
                + $"PostgreSQL {installation.Major}; {Environment.ProcessorCount} cores");
    }

    async Task RunCommandsAsync(CommandSession session, RacingWriters writers, StreamWatch watch, CancellationToken cancellationToken)
    {
        var commands = new SchemaCommands(new Random(_options.Seed));
        var (started, told) = (Stopwatch.GetTimestamp(), TimeSpan.Zero);
        while (session.Done < _options.Commands && watch.Stops == 0)
        {
            await session.RunAsync(commands.Next(session.Picture), cancellationToken);
            await session.LookAsync(cancellationToken);
            if (Stopwatch.GetElapsedTime(started) is var elapsed && elapsed - told >= ProgressInterval)
            {
                told = elapsed;
                Console.WriteLine(
                    $"{session.Done} commands ({session.Failed} refused), {writers.Transactions} transactions ({writers.Failures} failed), {session.Picture.Tables.Count} tables, "
                        + $"{watch.LagBytes >> 10} kB behind, {elapsed.TotalSeconds:0} s");
            }
        }
    }

    // A materialized view is computed anew at the target, from rows that another transaction may have committed while the source did the same.
    static async Task RefreshAsync(CommandSession session, PostgresServer source, CancellationToken cancellationToken)
    {
        await session.LookAsync(cancellationToken);
        foreach (var view in session.Picture.Of("matview"))
            await MarkedTables.ExecuteAsync(source.ConnectionString(), $"REFRESH MATERIALIZED VIEW {view.Name}", cancellationToken);
    }

    // Commits are applied in order, so what was committed before the mark is there once the mark is. Null: the stream has stopped.
    static async Task<TimeSpan?> CatchUpAsync(PostgresServer source, PostgresServer target, StreamWatch watch, CancellationToken cancellationToken)
    {
        await MarkedTables.ExecuteAsync(source.ConnectionString(), "UPDATE public.marker SET n = 1", cancellationToken);
        var started = Stopwatch.GetTimestamp();
        while ((await MarkedTables.IntegersAsync(target.ConnectionString(), "SELECT 1 FROM public.marker WHERE n = 1", cancellationToken)).Count == 0)
        {
            if (watch.Stops > 0)
                return null;
            if (Stopwatch.GetElapsedTime(started) > CatchUpTimeout)
                throw new ChildProcessException($"The target did not catch up within {CatchUpTimeout.TotalMinutes:0} minutes; it is {watch.LagBytes} bytes behind.");
            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, cancellationToken);
        }

        return Stopwatch.GetElapsedTime(started);
    }

    // Every kind of command is one that the stream carries, so whatever it reports instead is a difference.
    static async Task<IReadOnlyList<string>> ReportsAsync(PostgresServer target, CancellationToken cancellationToken)
    {
        await using var connection = new NpgsqlConnection(target.ConnectionString());
        await connection.OpenAsync(cancellationToken);
        await using var command = new NpgsqlCommand("SELECT concat_ws(' ', 'reported:', commit_end_lsn, tag, object, why) FROM tributary.schema_report", connection);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var reports = new List<string>();
        while (await reader.ReadAsync(cancellationToken))
            reports.Add(reader.GetString(0));
        return reports;
    }

    static bool IsStreaming(JsonElement status) =>
        status.GetProperty("streams")[0].TryGetProperty("phase", out var phase) && phase.GetString() == "streaming";
}
