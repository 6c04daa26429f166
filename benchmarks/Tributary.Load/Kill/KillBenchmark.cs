using System.Diagnostics;
using Npgsql;
using Tributary.Load.Latency;
using Tributary.Postgres.Programs;

namespace Tributary.Load.Kill;

/// <summary>
/// Kills the real program at random moments under load, and looks for a row that is lost or doubled.
/// 1. Start both servers, the writers, and a watch over the target's invariants. 2. Start the program and kill it, again and again, the copy of
/// the existing rows included. 3. Every few kills let it catch up and compare each row of both sides. 4. On request stop the target's session for
/// longer than the source waits for an answer. 5. Compare for the last time.
/// </summary>
sealed class KillBenchmark : IBenchmark
{
    const int Writers = 3;

    static readonly TimeSpan CatchUpTimeout = TimeSpan.FromMinutes(2);

    // From before the first connection to far into the stream. The managed build takes longer to get there.
    static TimeSpan LongestLife => TimeSpan.FromMilliseconds(KilledProgram.IsNative ? 1100 : 4000);

    KillOptions _options = KillOptions.Default;
    long _markers;
    long _rows;
    long _lost;
    long _doubled;
    int _comparisons;

    public string Name => "kill";

    public string Work => "Rows lost or doubled when the program is killed at random moments under load";

    public RatioGoal Goal => new("rows lost, rows doubled and snapshots of the target that broke an invariant", 0, LowerIsBetter: true);

    public string? Configure(IReadOnlyList<string> words)
    {
        if (KillOptions.Parse(words) is not { } options)
            return KillOptions.Usage;
        _options = options;
        return null;
    }

    public async Task<BenchmarkOutcome> RunAsync(CancellationToken cancellationToken)
    {
        // Step 1: Both servers, the watch and the writers.
        Console.WriteLine($"kill --iterations {_options.Iterations} --seed {_options.Seed} --compare-every {_options.CompareEvery} --pause {_options.Pause}");
        var installation = PostgresInstallation.FindNewest();
        using var folder = new ScratchFolder("kill");
        // The writers take locks in any order, and a second of waiting in each circle would leave little load.
        await using var source = await PostgresServer.CreateAsync(installation, folder.Below("source"), ["wal_level = logical", "fsync = off", "deadlock_timeout = 10ms"], cancellationToken);
        await using var target = await PostgresServer.CreateAsync(installation, folder.Below("target"), ["fsync = off"], cancellationToken);
        await MarkedTables.ExecuteAsync(source.ConnectionString(), KillWorkload.Schema, cancellationToken);
        await using var watch = InvariantWatch.Start(target.ConnectionString());
        var random = new Random(_options.Seed);
        var (transactions, streamed) = (0L, 0);
        for (var done = 0; done < _options.Iterations;)
        {
            await using (var load = KillWorkload.Start(source.ConnectionString(), Writers, _options.Seed + (1000 * done), reshapes: true))
            {
                // Step 2.
                for (var last = Math.Min(_options.Iterations, done + _options.CompareEvery); done < last; done++)
                    streamed += await LiveAndDieAsync(source, target, folder.Path, random, cancellationToken) ? 1 : 0;
                transactions += load.Transactions;
            }

            // Step 3.
            await CompareAsync(source, target, folder.Path, cancellationToken);
            await MarkedTables.ExecuteAsync(source.ConnectionString(), KillWorkload.Reset, cancellationToken);
            Console.WriteLine($"{done} kills, {transactions} transactions, {_rows} rows compared: {_lost} lost, {_doubled} doubled; {watch.Reads} snapshots, {watch.Broken} broken");
        }

        // Step 4.
        var pause = _options.Pause > 0 ? await PauseAsync(source, target, folder.Path, cancellationToken) : "";

        // Step 5: the last reset is carried too.
        await CompareAsync(source, target, folder.Path, cancellationToken);
        if (streamed == 0 || watch.Reads == 0)
            throw new ChildProcessException("No kill met the stream, or nobody looked at the target meanwhile, so the run says nothing.");
        return Outcome(installation, watch, transactions, streamed, pause);
    }

    BenchmarkOutcome Outcome(PostgresInstallation installation, InvariantWatch watch, long transactions, int streamed, string pause)
    {
        Measurement Line(string what, string figure) => new(Role.Ours, what, figure, null, null);
        return new BenchmarkOutcome(
            [
                Line("killed", $"{_options.Iterations} times, {streamed} of them after it had moved the saved position"),
                Line("rows lost", $"{_lost} of {_rows} in {_comparisons} comparisons"),
                Line("rows doubled", $"{_doubled}"),
                Line("invariants broken", $"{watch.Broken} of {watch.Reads} snapshots of the target{(watch.First is { } first ? $" ({first})" : "")}"),
            ],
            _lost + _doubled + watch.Broken,
            $"seed {_options.Seed}, {transactions} transactions of {Writers} writers, {(KilledProgram.IsNative ? "native" : "managed")} program{pause}; "
                + $"PostgreSQL {installation.Major}; {Environment.ProcessorCount} cores");
    }

    // True when the program got as far as saving a position before it died.
    static async Task<bool> LiveAndDieAsync(PostgresServer source, PostgresServer target, string folder, Random random, CancellationToken cancellationToken)
    {
        var before = await PositionAsync(target, cancellationToken);
        await using (var program = await KilledProgram.StartAsync(source, target, folder, cancellationToken))
        {
            await Task.Delay(LongestLife * random.NextDouble(), TimeProvider.System, cancellationToken);
            program.RequireRunning();
        }

        return await PositionAsync(target, cancellationToken) != before;
    }

    async Task CompareAsync(PostgresServer source, PostgresServer target, string folder, CancellationToken cancellationToken)
    {
        await using var program = await KilledProgram.StartAsync(source, target, folder, cancellationToken);
        await CatchUpAsync(program, source, target, cancellationToken);
        var comparison = await RowComparison.RunAsync(source.ConnectionString(), target.ConnectionString(), cancellationToken);
        _comparisons++;
        _rows += comparison.Rows;
        _lost += comparison.Lost;
        _doubled += comparison.Doubled;
        if (comparison.Tables.Count > 0)
            Console.WriteLine($"{string.Join(", ", comparison.Tables)}: {comparison.Lost} rows lost, {comparison.Doubled} doubled");
    }

    // Commits are applied in order, so what was committed before the mark is there once the mark is. A mark that came with the copy is not enough:
    // killed then, the program would copy again, and no kill would ever meet the stream.
    async Task CatchUpAsync(KilledProgram program, PostgresServer source, PostgresServer target, CancellationToken cancellationToken)
    {
        var mark = ++_markers;
        await MarkedTables.ExecuteAsync(source.ConnectionString(), $"UPDATE marker SET n = {mark}", cancellationToken);
        var started = Stopwatch.GetTimestamp();
        while (await MarkAsync(target, cancellationToken) != mark || await PositionAsync(target, cancellationToken) is null)
        {
            program.RequireRunning();
            if (Stopwatch.GetElapsedTime(started) > CatchUpTimeout)
                throw new ChildProcessException($"The target did not catch up within {CatchUpTimeout.TotalSeconds:0} s.");
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, cancellationToken);
        }
    }

    async Task<string> PauseAsync(PostgresServer source, PostgresServer target, string folder, CancellationToken cancellationToken)
    {
        const string Senders = "SELECT pid FROM pg_stat_replication WHERE application_name LIKE 'tributary%'";
        await using var program = await KilledProgram.StartAsync(source, target, folder, cancellationToken);
        await CatchUpAsync(program, source, target, cancellationToken);
        var sender = await MarkedTables.IntegersAsync(source.ConnectionString(), Senders, cancellationToken);
        var sessions = await MarkedTables.IntegersAsync(target.ConnectionString(), "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'tributary%'", cancellationToken);
        await using (KillWorkload.Start(source.ConnectionString(), Writers, _options.Seed))
        {
            await SignalAsync("STOP", sessions);
            await Task.Delay(TimeSpan.FromSeconds(_options.Pause), TimeProvider.System, cancellationToken);
            await SignalAsync("CONT", sessions);
        }

        await CatchUpAsync(program, source, target, cancellationToken);
        var kept = sender.SequenceEqual(await MarkedTables.IntegersAsync(source.ConnectionString(), Senders, cancellationToken));
        return $"; the target stood still for {_options.Pause} s and the source's connection was {(kept ? "kept" : "lost")}";
    }

    static async Task SignalAsync(string signal, IEnumerable<int> processes)
    {
        // Never cancelled: what was stopped must go on.
        foreach (var process in processes)
            await ChildProcesses.RunAsync(new ChildProcessSpec("/bin/kill", ["-s", signal, $"{process}"]), CancellationToken.None);
    }

    static async Task<string?> PositionAsync(PostgresServer target, CancellationToken cancellationToken) =>
        await ScalarAsync(target, "SELECT to_regclass('tributary.progress')::text", cancellationToken) is null
            ? null
            : (string?)await ScalarAsync(target, "SELECT commit_end_lsn::text FROM tributary.progress WHERE state = 'streaming'", cancellationToken);

    // A copy that begins anew takes the table away, and may do so at any moment.
    static async Task<long?> MarkAsync(PostgresServer target, CancellationToken cancellationToken)
    {
        try
        {
            return (long?)await ScalarAsync(target, "SELECT n FROM marker", cancellationToken);
        }
        catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.UndefinedTable)
        {
            return null;
        }
    }

    static async Task<object?> ScalarAsync(PostgresServer server, string sql, CancellationToken cancellationToken)
    {
        await using var connection = new NpgsqlConnection(server.ConnectionString());
        await connection.OpenAsync(cancellationToken);
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteScalarAsync(cancellationToken) is { } value and not DBNull ? value : null;
    }
}
