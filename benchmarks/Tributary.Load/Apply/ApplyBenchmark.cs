using System.Diagnostics;
using System.Globalization;
using Tributary.Postgres.Programs;

namespace Tributary.Load.Apply;

/// <summary>
/// How quickly a backlog is carried. For each size of transactions:
/// 1. Let every contestant follow production's tables and stop.
/// 2. Change production while nobody reads.
/// 3. Start one contestant after the other and wait for the last transaction in its target.
/// 4. See that each target holds what production holds.
/// </summary>
sealed class ApplyBenchmark : IBenchmark
{
    // One of them alone, for a profile.
    static readonly int[] Sizes = Environment.GetEnvironmentVariable("TRIBUTARY_BENCH_SIZE") is { } size ? [int.Parse(size, CultureInfo.InvariantCulture)] : [1, 10, 100];

    static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(20);
    static readonly TimeSpan MeterInterval = TimeSpan.FromMilliseconds(500);
    static readonly TimeSpan Deadline = TimeSpan.FromMinutes(10);

    public string Name => "apply";

    public string Work => "Time to carry a backlog into a replica, exactly once";

    public RatioGoal Goal => new("quicker peer's time / ours, over all sizes", 1.2, LowerIsBetter: false);

    // Fewer show whether the contestants work; only the default is a measurement.
    static int Changes => int.Parse(Environment.GetEnvironmentVariable("TRIBUTARY_BENCH_CHANGES") ?? "1000000", CultureInfo.InvariantCulture);

    public async Task<BenchmarkOutcome> RunAsync(CancellationToken cancellationToken)
    {
        var installation = PostgresInstallation.FindNewest();
        var hasPglogical = PglogicalApplier.IsInstalled(installation);
        using var folder = new ScratchFolder("apply");
        string[] settings =
        [
            "wal_level = logical", "max_wal_size = 8GB", "shared_buffers = 256MB", "max_worker_processes = 20", "max_replication_slots = 20", "max_wal_senders = 20",
            .. hasPglogical ? (string[])["shared_preload_libraries = pglogical"] : [],
        ];
        await using var production = await PostgresServer.CreateAsync(installation, folder.Below("production"), settings, cancellationToken);
        await using var ours = await PostgresServer.CreateAsync(installation, folder.Below("ours"), settings, cancellationToken);
        await using var native = await PostgresServer.CreateAsync(installation, folder.Below("native"), settings, cancellationToken);
        await using var extension = await PostgresServer.CreateAsync(installation, folder.Below("extension"), settings, cancellationToken);
        var results = new List<Result>();
        foreach (var size in Sizes)
        {
            var database = $"rows_{size}";
            foreach (var server in (PostgresServer[])[production, ours, native, extension])
                await BacklogTables.ExecuteAsync(server.ConnectionString(), $"CREATE DATABASE {database}", cancellationToken);
            List<IApplier> appliers = [new TributaryApplier(production, ours, database, folder.Below($"tributary_{size}")), new NativeApplier(production, native, database)];
            if (hasPglogical)
                appliers.Add(new PglogicalApplier(production, extension, database));
            results.AddRange(await RunAsync(production.ConnectionString(database), appliers, size, cancellationToken));
        }

        double Best(int size) => results.Where(result => result.Size == size && result.Role == Role.Peer).Min(static result => result.Seconds);
        double Ours(int size) => results.Single(result => result.Size == size && result.Role == Role.Ours).Seconds;
        return new BenchmarkOutcome(
            [.. results.Select(static result => result.Measurement)],
            Sizes.Sum(Best) / Sizes.Sum(Ours),
            $"{Changes:N0} changes of two tables: 50 % inserts, 40 % updates, 10 % deletes. By rows in a transaction: "
                + $"{string.Join(", ", Sizes.Select(size => string.Create(CultureInfo.InvariantCulture, $"{size} → {Best(size) / Ours(size):0.00}")))}. Ours waits for its target's disk at each commit, the others do not. "
                + $"CPU and memory of all processes that replicate. PostgreSQL {installation.Major}, {Environment.ProcessorCount} cores"
                + (hasPglogical ? "" : $". pglogical is absent: apt-get install postgresql-{installation.Major}-pglogical"));
    }

    static async Task<IReadOnlyList<Result>> RunAsync(string source, IReadOnlyList<IApplier> appliers, int size, CancellationToken cancellationToken)
    {
        // Step 1.
        await BacklogTables.ExecuteAsync(source, BacklogTables.Tables, cancellationToken);
        await BacklogTables.ExecuteAsync(source, BacklogTables.Rows, cancellationToken);
        foreach (var applier in appliers)
            await applier.PrepareAsync(cancellationToken);

        // Step 2.
        await BacklogTables.ExecuteAsync(source, BacklogTables.Backlog(Changes, size), cancellationToken);

        // Step 3.
        var results = new List<Result>();
        foreach (var applier in appliers)
        {
            await BacklogTables.ExecuteAsync(source, "CHECKPOINT", cancellationToken);
            await BacklogTables.ExecuteAsync(applier.Target, "CHECKPOINT", cancellationToken);
            await using (applier)
                results.Add(await MeasureAsync(applier, size, cancellationToken));
        }

        // Step 4.
        var sums = await BacklogTables.ScalarAsync(source, BacklogTables.Sums, cancellationToken);
        foreach (var applier in appliers)
        {
            if (!Equals(await BacklogTables.ScalarAsync(applier.Target, BacklogTables.Sums, cancellationToken), sums))
                throw new ChildProcessException($"{applier.Contestant} did not carry the same rows at {size} rows a transaction.");
        }

        return results;
    }

    static async Task<Result> MeasureAsync(IApplier applier, int size, CancellationToken cancellationToken)
    {
        var started = Stopwatch.GetTimestamp();
        await applier.StartAsync(cancellationToken);
        IReadOnlyList<int> processes = [];
        double cpuMs = 0;
        long bytes = 0;
        var asked = started;
        while (await BacklogTables.ScalarAsync(applier.Target, "SELECT 1 FROM done", cancellationToken) is null)
        {
            if (Stopwatch.GetElapsedTime(started) > Deadline)
                throw new ChildProcessException($"{applier.Contestant} did not finish within {Deadline.TotalMinutes:0} minutes.");
            if (Stopwatch.GetElapsedTime(asked) > MeterInterval)
            {
                // Workers come a moment after the start; those that are there stay to the end.
                asked = Stopwatch.GetTimestamp();
                processes = await applier.ProcessIdsAsync(cancellationToken);
                cpuMs = processes.Sum(ProcessMeter.CpuMs);
                bytes = Math.Max(bytes, processes.Sum(ProcessMeter.ProportionalBytes));
            }

            await Task.Delay(PollInterval, TimeProvider.System, cancellationToken);
        }

        var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        return new Result(
            applier.Role, size, seconds,
            new Measurement(
                applier.Role, $"{applier.Contestant}, {size} a transaction",
                string.Create(CultureInfo.InvariantCulture, $"{seconds:0.0} s, {Changes / seconds:N0} changes/s"), cpuMs, bytes));
    }

    sealed record Result(Role Role, int Size, double Seconds, Measurement Measurement);
}
