using Tributary.Load.Create;
using Tributary.Postgres.Programs;

namespace Tributary.Load.Burst;

/// <summary>
/// How long until many have a branch of the present who all ask at the same moment, each until its first committed change.
/// 1. Make a pool with a seed for the bare clones, and a production with the same data, under load, for Tributary. 2. Let each contestant make all at once,
/// in turn. 3. Judge.
/// </summary>
sealed class BurstBenchmark : IBenchmark
{
    const int Branches = 50;
    const int Rounds = 3;
    const double AllMsMax = 5000;
    const double P50MsMax = 2500;

    // Production moves, so that the present is not the newest seed; the two cores are the burst's.
    const int Writers = 2;
    const double WritesPerSecond = 100;
    static readonly string[] Transaction = ["UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = 1 + ($2 * 7919 + $1) % 2000000"];

    public string Name => "burst";

    public string Work => $"Time from {Branches} requests at once for a branch as of now to the first change committed in each";

    public RatioGoal Goal => new($"the larger of all usable / {AllMsMax:0} ms and p50 / {P50MsMax:0} ms", 1, LowerIsBetter: true);

    public async Task<BenchmarkOutcome> RunAsync(CancellationToken cancellationToken)
    {
        // Step 1: Make a pool with a seed for the bare clones, and a production with the same data, under load, for Tributary.
        var installation = PostgresInstallation.FindNewest();
        await using var pool = await LoopPool.CreateAsync(cancellationToken);
        var seed = await SeedDirectory.CreateAsync(installation, pool, cancellationToken);
        await using var followed = await FollowedProduction.StartInAsync(installation, pool, "tributary", "", SeedDirectory.FillAsync, cancellationToken);
        await using var writers = SteadyWriters.Start(
            followed.Production.ConnectionString(), Writers, WritesPerSecond, Transaction, countsFrom: 0, static (_, _, _) => { }, cancellationToken);
        var (ours, bare) = (new TributaryBurst(followed), new ColdClones(installation, pool, seed));
        var (oursTally, bareTally) = (new BurstTally(), new BurstTally());

        // Step 2: Let each contestant make all at once, in turn.
        for (var round = 0; round < Rounds; round++)
        {
            await oursTally.RunAsync(round, Branches, ours, cancellationToken);
            await bareTally.RunAsync(round, Branches, bare, cancellationToken);
        }

        // Step 3: Judge.
        return new BenchmarkOutcome(
            [.. oursTally.Measurements(ours), .. bareTally.Measurements(bare)],
            Math.Max(oursTally.All.P50 / AllMsMax, oursTally.Each.P50 / P50MsMax),
            $"{SeedDirectory.Description}; {WritesPerSecond:0} tps on production meanwhile; all usable is the median of {Rounds} bursts, p50 of all their branches; "
            + $"cold clones are of a stopped cluster: no present, no sandbox, no gateway, no password; CPU of one branch; PostgreSQL {installation.Major}; {Environment.ProcessorCount} cores");
    }
}
