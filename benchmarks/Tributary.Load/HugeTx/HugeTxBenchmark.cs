using System.Globalization;
using Tributary.Load.Latency;
using Tributary.Postgres.Programs;

namespace Tributary.Load.HugeTx;

/// <summary>
/// One transaction of gigabytes: how long after its commit it is visible in the replica, and what our process holds in memory meanwhile. Beside it
/// Postgres's own subscription with <c>streaming = on</c> on the same work, one after the other, each alone on the machine.
/// 1. Start production and two replicas. 2. Write and watch with us. 3. Write and watch with the subscription. 4. Compare.
/// <c>TRIBUTARY_HUGETX_GIGABYTES</c> sets the size; the default is 5.
/// </summary>
sealed class HugeTxBenchmark : IBenchmark
{
    const long ResidentBytesGoal = 200L << 20;

    public string Name => "hugetx";

    public string Work => "Time from the commit of one huge transaction to its sight in the replica";

    public RatioGoal Goal => new("time to sight after the commit / time of writing", 0.10, LowerIsBetter: true);

    static double Gigabytes => double.Parse(Environment.GetEnvironmentVariable("TRIBUTARY_HUGETX_GIGABYTES") ?? "5", CultureInfo.InvariantCulture);

    public async Task<BenchmarkOutcome> RunAsync(CancellationToken cancellationToken)
    {
        // Step 1: Start production and two replicas.
        var installation = PostgresInstallation.FindNewest();
        var work = new HugeWork(Gigabytes);
        using var folder = new ScratchFolder("hugetx");
        string[] settings = ["max_wal_size = 4GB"];
        await using var production = await PostgresServer.CreateAsync(installation, folder.Below("production"), ["wal_level = logical", .. settings], cancellationToken);
        await using var replica = await PostgresServer.CreateAsync(installation, folder.Below("ours"), settings, cancellationToken);
        await using var other = await PostgresServer.CreateAsync(installation, folder.Below("native"), settings, cancellationToken);
        await MarkedTables.ExecuteAsync(production.ConnectionString(), HugeWork.Table, cancellationToken);

        // Step 2: Write and watch with us.
        Measured ours;
        ProcessPeak peak;
        await using (var stream = await TributaryStream.StartAsync(production, replica, folder.Path, cancellationToken))
        {
            var process = (await stream.ProcessIdsAsync(cancellationToken))[0];
            await using var watch = ProcessPeak.Start(process, Path.Combine(folder.Path, "state", "spool"));
            ours = await work.RunAsync(production, replica, firstId: 0, cancellationToken);
            peak = await watch.StopAsync();
        }

        await MarkedTables.ExecuteAsync(
            production.ConnectionString(), "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots; DROP PUBLICATION tributary_replica; TRUNCATE huge", cancellationToken);

        // Step 3: Write and watch with the subscription.
        await MarkedTables.ExecuteAsync(other.ConnectionString(), HugeWork.Table, cancellationToken);
        await MarkedTables.ExecuteAsync(production.ConnectionString(), "CREATE PUBLICATION native FOR TABLE huge", cancellationToken);
        await MarkedTables.ExecuteAsync(
            other.ConnectionString(),
            $"CREATE SUBSCRIPTION native CONNECTION 'host=127.0.0.1 port={production.Port} user=postgres dbname=postgres' PUBLICATION native WITH (streaming = on)", cancellationToken);
        while ((await MarkedTables.IntegersAsync(other.ConnectionString(), "SELECT 1 FROM pg_subscription_rel WHERE srsubstate = 'r'", cancellationToken)).Count == 0)
            await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System, cancellationToken);
        var native = await work.RunAsync(production, other, firstId: 0, cancellationToken);

        // Step 4: Compare.
        return new BenchmarkOutcome(
            [
                new Measurement(Role.Ours, "tributary", ours.ToString(), peak.CpuMs, peak.ResidentBytes),
                new Measurement(Role.Peer, "native subscription, streaming = on", native.ToString(), null, null),
            ],
            ours.AfterCommit / ours.Writing,
            $"One transaction of {Gigabytes:0.0} GB, rows of {HugeWork.RowBytes} bytes; CPU of our process in all, and its largest resident memory; PostgreSQL {installation.Major}; "
                + $"{Environment.ProcessorCount} cores. At most {peak.SpoolBytes / 1048576.0:0} MB in the spool. Resident below {ResidentBytesGoal >> 20} MB: {(peak.ResidentBytes < ResidentBytesGoal ? "yes" : "no")}");
    }
}
