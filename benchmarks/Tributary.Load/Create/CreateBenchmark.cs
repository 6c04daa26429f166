using Tributary.Postgres.Programs;

namespace Tributary.Load.Create;

/// <summary>
/// How long from the wish for a branch to the first row out of it, against the same steps typed into a shell.
/// 1. Make a pool and a seed for the shell, and a production with the same data for Tributary. 2. Let each contestant make a branch in turn. 3. Compare.
/// </summary>
sealed class CreateBenchmark : IBenchmark
{
    // The first rounds fill caches that every later one finds full, as on a server in use.
    const int WarmUpRounds = 3;
    const int Rounds = 40;

    public string Name => "create";

    public string Work => "Time from the request for a branch to the first row read from it";

    public RatioGoal Goal => new("our p50 / bare shell p50", 1.5, LowerIsBetter: true);

    public async Task<BenchmarkOutcome> RunAsync(CancellationToken cancellationToken)
    {
        // Step 1: Make a pool and a seed for the shell, and a production with the same data for Tributary.
        var installation = PostgresInstallation.FindNewest();
        await using var pool = await LoopPool.CreateAsync(cancellationToken);
        var seed = await SeedDirectory.CreateAsync(installation, pool, cancellationToken);
        await using var tributary = await TributaryBranches.StartAsync(installation, pool.Folder, cancellationToken);
        Tally[] tallies = [new Tally(tributary), new Tally(new BareShell(installation, pool, seed))];

        // Step 2: Let each contestant make a branch in turn.
        for (var round = -WarmUpRounds; round < Rounds; round++)
        {
            foreach (var tally in tallies)
                await tally.RunAsync($"bench-{round + WarmUpRounds}", counts: round >= 0, cancellationToken);
        }

        // Step 3: Compare.
        return new BenchmarkOutcome(
            [.. tallies.SelectMany(tally => tally.Measurements)],
            tallies[0].Whole.P50 / tallies[1].Whole.P50,
            $"{SeedDirectory.Description}; {TributaryBranches.Description}; PostgreSQL {installation.Major}; {Environment.ProcessorCount} cores");
    }

    /// <summary>What one contestant's rounds add up to.</summary>
    sealed class Tally(IBranchMaker maker)
    {
        readonly Dictionary<string, Durations> _parts = [];
        double _cpuMs;
        long _memoryBytes;
        int _rounds;

        public Durations Whole { get; } = new();

        public IEnumerable<Measurement> Measurements =>
        [
            new Measurement(maker.Role, maker.Contestant, Whole.ToString(), _cpuMs / _rounds, _memoryBytes / _rounds),
            .. _parts.Select(part => new Measurement(Role.Part, part.Key, part.Value.ToString(), null, null)),
        ];

        public async Task RunAsync(string name, bool counts, CancellationToken cancellationToken)
        {
            var cpuBefore = maker.CpuMs;
            MadeBranch made;
            await using (made = await maker.MakeAsync(name, cancellationToken))
                cancellationToken.ThrowIfCancellationRequested();
            if (!counts)
                return;
            Whole.Add(made.Elapsed);
            foreach (var (step, elapsed) in made.Parts)
            {
                _parts.TryAdd(step, new Durations());
                _parts[step].Add(elapsed);
            }

            // Its processes have ended by now, so the kernel has booked their time on the one that started them.
            _cpuMs += maker.CpuMs - cpuBefore;
            _memoryBytes += made.MemoryBytes;
            _rounds++;
        }
    }
}
