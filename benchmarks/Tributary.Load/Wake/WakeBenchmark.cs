using Tributary.Contracts;
using Tributary.Load.Create;
using Tributary.Postgres.Programs;

namespace Tributary.Load.Wake;

/// <summary>
/// How long a client waits that connects to a sleeping branch, against the start of a bare server on the same disk.
/// 1. Make a pool with a data directory for the bare server, and a production with the same data for Tributary. 2. Let each be woken in turn. 3. Compare.
/// </summary>
sealed class WakeBenchmark : IBenchmark
{
    const int WarmUpRounds = 2;
    const int Rounds = 30;
    const double P50MsMax = 80;

    public string Name => "wake";

    public string Work => "Time from a connection to a sleeping branch to the first row read from it";

    public RatioGoal Goal => new("our p50 / bare postgres p50", 1.2, LowerIsBetter: true);

    public async Task<BenchmarkOutcome> RunAsync(CancellationToken cancellationToken)
    {
        // Step 1: Make a pool with a data directory for the bare server, and a production with the same data for Tributary.
        var installation = PostgresInstallation.FindNewest();
        await using var pool = await LoopPool.CreateAsync(cancellationToken);
        var seed = await SeedDirectory.CreateAsync(installation, pool, cancellationToken);
        await using var followed = await FollowedProduction.StartInAsync(
            installation, pool, "tributary", $", idle-timeout: {SleepingBranch.IdleTimeout.TotalSeconds:0}s", SeedDirectory.FillAsync, cancellationToken);
        var branch = await followed.CreateBranchAsync(new BranchCreateRequest { Name = "sleeper", FromSeed = true }, cancellationToken);
        var settings = await BranchServerSettings.ReadAsync(branch, cancellationToken);
        MakerTally[] tallies = [new MakerTally(new SleepingBranch(followed, branch)), new MakerTally(new StoppedPostgres(installation, seed, settings))];

        // Step 2: Let each be woken in turn.
        await MakerTally.RunAllAsync(tallies, WarmUpRounds, Rounds, cancellationToken);

        // Step 3: Compare.
        var p50 = tallies[0].Whole.P50;
        return new BenchmarkOutcome(
            [.. tallies.SelectMany(tally => tally.Measurements)],
            p50 / tallies[1].Whole.P50,
            $"Our p50 is to be at most {P50MsMax:0} ms: {(p50 <= P50MsMax ? "met" : "short")}. {SeedDirectory.Description}; the bare server runs with the branch's settings, on the same disk; "
            + $"it has no sandbox, no gateway and asks for no password; PostgreSQL {installation.Major}; {Environment.ProcessorCount} cores");
    }
}
