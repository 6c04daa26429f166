using Tributary.Postgres.Programs;

namespace Tributary.Load.Latency;

/// <summary>
/// How long after its commit on production a transaction is visible in a replica, against Postgres's own subscription: the same production,
/// the same transactions at the same time, a replica server for each, watched in the same way.
/// 1. Start production, two replicas and both replicators. 2. Write at each rate and watch. 3. Compare.
/// </summary>
sealed class LatencyBenchmark : IBenchmark
{
    const double GoalMs = 15;

    // The first seconds warm plans and caches; their figures are thrown away.
    static readonly Load WarmUp = new(50, TimeSpan.FromSeconds(5));
    static readonly Load[] Loads = [new(50, TimeSpan.FromSeconds(20)), new(1000, Seconds("TRIBUTARY_LATENCY_SECONDS", 60))];

    public string Name => "latency";

    public string Work => "Time from a commit on production to the transaction's sight in the replica";

    public RatioGoal Goal => new($"our p99 at {Loads[^1].PerSecond} tps / {GoalMs:0} ms", 1.0, LowerIsBetter: true);

    public async Task<BenchmarkOutcome> RunAsync(CancellationToken cancellationToken)
    {
        // Step 1: Start production, two replicas and both replicators.
        var installation = PostgresInstallation.FindNewest();
        using var folder = new ScratchFolder("lag");
        await using var production = await PostgresServer.CreateAsync(installation, folder.Below("production"), ["wal_level = logical"], cancellationToken);
        await using var ours = await PostgresServer.CreateAsync(installation, folder.Below("ours"), [], cancellationToken);
        await using var native = await PostgresServer.CreateAsync(installation, folder.Below("native"), [], cancellationToken);
        await MarkedTables.ExecuteAsync(production.ConnectionString(), MarkedTables.Tables, cancellationToken);
        await MarkedTables.ExecuteAsync(production.ConnectionString(), MarkedTables.Rows, cancellationToken);
        await using var subscription = await NativeSubscription.StartAsync(production, native, cancellationToken);
        await using var stream = await TributaryStream.StartAsync(production, ours, folder.Path, cancellationToken);
        IReplicator[] replicators = [stream, subscription];

        // Step 2: Write at each rate and watch.
        await RunLoadAsync(production, replicators, WarmUp, countsFrom: 1, cancellationToken);
        var results = new List<Result[]>();
        foreach (var load in Loads)
            results.Add(await RunLoadAsync(production, replicators, load, countsFrom: 1_000_000 * (results.Count + 1), cancellationToken));

        // Step 3: Compare.
        return new BenchmarkOutcome(
            [.. results.SelectMany(static pair => pair).Select(static result => result.Measurement)],
            results[^1][0].Lag.P99 / GoalMs,
            $"{MarkedTables.Writers} writers, an insert and an update each time, fsync on; CPU in each second and memory of all processes that replicate; PostgreSQL {installation.Major}; "
                + $"{Environment.ProcessorCount} cores. Our p99 over the subscription's: {string.Join(", ", results.Select(static pair => $"{pair[0].Lag.P99 / pair[1].Lag.P99:0.00}"))}");
    }

    static TimeSpan Seconds(string variable, int standard) =>
        TimeSpan.FromSeconds(int.TryParse(Environment.GetEnvironmentVariable(variable), out var seconds) && seconds > 0 ? seconds : standard);

    static async Task<Result[]> RunLoadAsync(
        PostgresServer production, IReadOnlyList<IReplicator> replicators, Load load, long countsFrom, CancellationToken cancellationToken)
    {
        List<long>[] commits = [.. Enumerable.Range(0, MarkedTables.Writers).Select(static _ => new List<long>())];
        var meters = new List<ReplicatorMeter>();
        foreach (var replicator in replicators)
            meters.Add(await ReplicatorMeter.StartAsync(replicator, cancellationToken));
        var ended = new TaskCompletionSource<int[]>(TaskCreationOptions.RunContinuationsAsynchronously);
        var watches = replicators.Select(replicator => ReplicaWatch.RunAsync(replicator.Replica, countsFrom, ended.Task, cancellationToken)).ToArray();
        await using (SteadyWriters.Start(
            production.ConnectionString(), MarkedTables.Writers, load.PerSecond, MarkedTables.Transaction, countsFrom,
            (writer, _, moment) => commits[writer].Add(moment), cancellationToken))
            await Task.Delay(load.Duration, TimeProvider.System, cancellationToken);
        ended.SetResult([.. commits.Select(static list => list.Count)]);
        var usages = meters.Select(meter => meter.Read(load.Duration)).ToArray();
        return await Task.WhenAll(replicators.Select(async (replicator, index) =>
        {
            var lag = new Durations();
            (await watches[index]).AddLags(lag, commits);
            return new Result(lag, new Measurement(replicator.Role, $"{replicator.Contestant}, {load.PerSecond} tps", lag.ToString("0.0"), usages[index].CpuMs, usages[index].Bytes));
        }));
    }

    sealed record Load(int PerSecond, TimeSpan Duration);

    sealed record Result(Durations Lag, Measurement Measurement);
}
