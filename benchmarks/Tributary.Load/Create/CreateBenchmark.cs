using Tributary.Postgres.Programs;

namespace Tributary.Load.Create;

/// <summary>
/// How long from the wish for a branch to the first row out of it, against the same steps typed into a shell.
/// 1. Make a pool and a seed for the shell, and a production with the same data for Tributary. 2. Let each contestant make a branch in turn.
/// 3. Let those copy who have no branches. 4. Compare.
/// </summary>
sealed class CreateBenchmark : IBenchmark
{
    // The first rounds fill caches that every later one finds full, as on a server in use.
    const int WarmUpRounds = 3;
    const int Rounds = 40;

    // A copy takes seconds each time, and nobody needs its last millisecond.
    const int CopyRounds = 3;

    public string Name => "create";

    public string Work => "Time from the request for a branch of the newest seed to the first row read from it";

    public RatioGoal Goal => new("our p50 / bare shell p50", 1.2, LowerIsBetter: true);

    public async Task<BenchmarkOutcome> RunAsync(CancellationToken cancellationToken)
    {
        // Step 1: Make a pool and a seed for the shell, and a production with the same data for Tributary.
        var installation = PostgresInstallation.FindNewest();
        await using var pool = await LoopPool.CreateAsync(cancellationToken);
        var seed = await SeedDirectory.CreateAsync(installation, pool, cancellationToken);
        await using var tributary = await TributaryBranches.StartAsync(installation, pool.Folder, asOfNow: false, cancellationToken);
        MakerTally[] tallies = [new MakerTally(tributary), new MakerTally(new BareShell(installation, pool, seed))];

        // Step 2: Let each contestant make a branch in turn.
        await MakerTally.RunAllAsync(tallies, WarmUpRounds, Rounds, cancellationToken);

        // Step 3: Let those copy who have no branches.
        await using var server = await CopyingServer.StartAsync(installation, pool.Folder, cancellationToken);
        MakerTally[] copies = [new MakerTally(CopyingServer.ByDump(server)), new MakerTally(CopyingServer.ByTemplate(server))];
        await MakerTally.RunAllAsync(copies, warmUpRounds: 0, CopyRounds, cancellationToken);

        // Step 4: Compare.
        return new BenchmarkOutcome(
            [.. tallies.Concat(copies).SelectMany(tally => tally.Measurements)],
            tallies[0].Whole.P50 / tallies[1].Whole.P50,
            $"{SeedDirectory.Description}; {TributaryBranches.Description}; the copies are not in the ratio; PostgreSQL {installation.Major}; {Environment.ProcessorCount} cores");
    }
}
