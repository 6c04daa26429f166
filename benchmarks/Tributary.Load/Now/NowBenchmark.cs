using Tributary.Load.Create;
using Tributary.Postgres.Programs;

namespace Tributary.Load.Now;

/// <summary>
/// How long from the wish for a branch of the present to the first change committed in it, against the promotion of a standby that is there.
/// 1. Make a production under load, followed by Tributary, and a standby of it for each round of the other. 2. Let each make a branch in turn. 3. Compare.
/// </summary>
sealed class NowBenchmark : IBenchmark
{
    const int WarmUpRounds = 2;
    const int Rounds = 20;

    public string Name => "now";

    public string Work => "Time from the request for a branch as of now to the first change committed in it";

    public RatioGoal Goal => new("our p50 / bare promote p50", 1.2, LowerIsBetter: true);

    public async Task<BenchmarkOutcome> RunAsync(CancellationToken cancellationToken)
    {
        // Step 1: Make a production under load.
        var installation = PostgresInstallation.FindNewest();
        await using var pool = await LoopPool.CreateAsync(cancellationToken);
        await using var tributary = await TributaryBranches.StartAsync(installation, pool.Folder, asOfNow: true, cancellationToken);
        MakerTally[] tallies = [new MakerTally(tributary), new MakerTally(new BarePromotion(tributary.Production, pool))];

        // Step 2: Let each contestant make a branch in turn.
        await MakerTally.RunAllAsync(tallies, WarmUpRounds, Rounds, cancellationToken);

        // Step 3: Compare.
        return new BenchmarkOutcome(
            [.. tallies.SelectMany(tally => tally.Measurements)],
            tallies[0].Whole.P50 / tallies[1].Whole.P50,
            $"{SeedDirectory.Description}; {TributaryBranches.Description}; PostgreSQL {installation.Major}; {Environment.ProcessorCount} cores; "
            + "the bare promotion has its standby for free, waits for no position, clears no password and has no sandbox");
    }
}
