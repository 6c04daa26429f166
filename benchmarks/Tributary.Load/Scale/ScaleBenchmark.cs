using Tributary.Load.Create;
using Tributary.Postgres.Programs;

namespace Tributary.Load.Scale;

/// <summary>
/// Whether a branch takes longer the more data there is.
/// 1. Fill a main of each size. 2. Make a branch of each in turn. 3. Compare with the smallest.
/// </summary>
sealed class ScaleBenchmark : IBenchmark
{
    const int WarmUpRounds = 2;
    const int Rounds = 20;

    ScaleOptions? _options;

    public string Name => "scale";

    public string Work => "Time from the request for a branch of the newest seed to the first row read from it, by the size of the data";

    public RatioGoal Goal => new("the slowest size's p50 / the smallest size's p50", 1.2, LowerIsBetter: true);

    public string? Configure(IReadOnlyList<string> words)
    {
        if (words.Count == 0)
            return null;
        _options = ScaleOptions.Parse(words);
        return _options is null ? ScaleOptions.Usage : null;
    }

    public async Task<BenchmarkOutcome> RunAsync(CancellationToken cancellationToken)
    {
        var freeBytes = new DriveInfo(Path.GetTempPath()).AvailableFreeSpace;
        var options = _options ?? ScaleOptions.ForDisk(freeBytes);
        if (options.Gigabytes.Count < 2)
            throw new ChildProcessException($"{Path.GetTempPath()} has {freeBytes >> 30} GB free, too little for two sizes; name smaller ones with --sizes.");

        // Step 1: Fill a main of each size.
        await using var pool = await LoopPool.CreateAsync(((long)(options.Gigabytes.Sum() * ScaleOptions.DiskShare) << 30) + LoopPool.BytesDefault, cancellationToken);
        var makers = new List<SizedBranches>();
        try
        {
            foreach (var gigabytes in options.Gigabytes)
                makers.Add(await SizedBranches.StartAsync(pool, gigabytes, cancellationToken));

            // Step 2: Make a branch of each in turn.
            var tallies = makers.Select(static maker => new MakerTally(maker)).ToList();
            await MakerTally.RunAllAsync(tallies, WarmUpRounds, Rounds, cancellationToken);

            // Step 3: Compare with the smallest.
            return new BenchmarkOutcome(
                [.. tallies.SelectMany(static tally => tally.Measurements)],
                tallies.Max(static tally => tally.Whole.P50) / tallies[0].Whole.P50,
                $"Rows of {WideTable.RowBytes} bytes{LeftOut(options, freeBytes)}; btrfs on a loop device, nodatacow; the mains are of their own and at rest; PostgreSQL {PostgresInstallation.FindNewest().Major}; {Environment.ProcessorCount} cores");
        }
        finally
        {
            foreach (var maker in makers)
                await maker.DisposeAsync();
        }
    }

    static string LeftOut(ScaleOptions options, long freeBytes) => options.LeftOut.Count == 0
        ? ""
        : $"; left out for want of space: {string.Join(", ", options.LeftOut)} GB, since the disk has {freeBytes >> 30} GB free";
}
