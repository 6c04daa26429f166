using Tributary.Contracts;
using Tributary.Load.Create;
using Tributary.Postgres.Programs;

namespace Tributary.Load.Writes;

/// <summary>
/// How fast a branch takes writes that wait for the disk, against a cluster without Tributary on the machine's own file system.
/// 1. Make a durable branch of a production, and a plain cluster with the same data and the branch's settings. 2. Let pgbench write into each in turn. 3. Compare.
/// </summary>
sealed class WritesBenchmark : IBenchmark
{
    const int Rounds = 3;

    public string Name => "writes";

    public string Work => "Transactions a second of pgbench (TPC-B) in a durable branch";

    public RatioGoal Goal => new("our median / plain cluster's median", 1, LowerIsBetter: false);

    public async Task<BenchmarkOutcome> RunAsync(CancellationToken cancellationToken)
    {
        // Step 1: Make a durable branch of a production, and a plain cluster with the same data and the branch's settings.
        var installation = PostgresInstallation.FindNewest();
        await using var pool = await LoopPool.CreateAsync(cancellationToken);
        await using var followed = await FollowedProduction.StartInAsync(installation, pool, "tributary", "", SeedDirectory.FillAsync, cancellationToken);
        var branch = await followed.CreateBranchAsync(new BranchCreateRequest { Name = "writes", FromSeed = true, Durability = BranchDurability.Durable }, cancellationToken);
        var settings = await BranchServerSettings.ReadAsync(branch, cancellationToken);
        await using var plain = await PostgresServer.CreateAsync(
            installation, Path.Combine(pool.Folder, "plain"), [.. settings.Select(static setting => $"{setting.Name} = '{setting.Value}'")], cancellationToken);
        await SeedDirectory.FillAsync(plain, cancellationToken);
        var socket = Path.Combine(pool.Folder, "tributary", "state", "run", branch.Folder, "socket");
        PgbenchTally[] tallies =
        [
            PgbenchTally.ThroughGateway(installation, followed.Tributary, branch), PgbenchTally.OfPlain(installation, plain),
            PgbenchTally.BesideGateway(installation, followed.Tributary, branch, socket),
        ];

        // Step 2: Let pgbench write into each in turn; the first turn of each fills caches.
        for (var round = -1; round < Rounds; round++)
        {
            foreach (var tally in tallies)
                await tally.RunAsync(counts: round >= 0, cancellationToken);
        }

        // Step 3: Compare.
        return new BenchmarkOutcome(
            [.. tallies.Select(static tally => tally.Measurement)],
            tallies[0].Median / tallies[1].Median,
            $"{SeedDirectory.Description}, its image on the file system of the plain cluster; {PgbenchTally.Description}, {Rounds} turns, and one before them; fsync and synchronous_commit on; CPU of 1,000 transactions, without pgbench's; "
            + $"PostgreSQL {installation.Major}; {Environment.ProcessorCount} cores, which pgbench shares");
    }
}
