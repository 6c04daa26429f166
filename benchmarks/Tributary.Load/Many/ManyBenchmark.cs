using System.Diagnostics;
using Tributary.Contracts;
using Tributary.Load.Create;
using Tributary.Postgres.Programs;

namespace Tributary.Load.Many;

/// <summary>
/// Whether a server with very many branches stays small and quick, and each branch usable. One that is not usable ends the benchmark.
/// 1. Follow a production. 2. Make the branches, asleep. 3. Enter some and stay in them. 4. List all, again and again.
/// 5. Ask each running branch, and wake every sleeping one. 6. Judge.
/// </summary>
sealed class ManyBenchmark : IBenchmark
{
    const double ListMsMax = 50;
    const long ResidentBytesMax = 150L << 20;
    const int ListRounds = 10;

    // Those that were woken and left, and have not gone to sleep again.
    const int LeftRunningMax = 50;

    // Enough to keep two cores at work, as an impatient script would.
    const int AtOnce = 4;

    ManyOptions _options = ManyOptions.Default;

    public string Name => "many";

    public string Work => "Size and speed of a server that has very many branches";

    public RatioGoal Goal => new($"the larger of list p50 / {ListMsMax:0} ms and resident memory / {ResidentBytesMax >> 20} MB", 1, LowerIsBetter: true);

    public string? Configure(IReadOnlyList<string> words)
    {
        if (ManyOptions.Parse(words) is not { } options)
            return ManyOptions.Usage;
        _options = options;
        return null;
    }

    public async Task<BenchmarkOutcome> RunAsync(CancellationToken cancellationToken)
    {
        // Step 1: Follow a production.
        var installation = PostgresInstallation.FindNewest();
        await using var pool = await LoopPool.CreateAsync(cancellationToken);
        await using var followed = await FollowedProduction.StartInAsync(
            installation, pool, "tributary", $", branches-max: {_options.Branches}, running-max: {_options.Running + LeftRunningMax}, idle-timeout: 1s", SeedDirectory.FillAsync, cancellationToken);

        // Step 2: Make the branches, asleep.
        var names = Enumerable.Range(0, _options.Branches).Select(static number => $"many-{number}").ToList();
        var creates = await TimeEachAsync(
            names, name => followed.CreateBranchAsync(new BranchCreateRequest { Name = name, FromSeed = true }, cancellationToken), cancellationToken);
        var (listsAsleep, listAsleepCpuMs) = await ListAsync(followed, cancellationToken);

        // Step 3: Enter some and stay in them.
        var branches = await followed.BranchesAsync(cancellationToken);
        var guests = branches.Take(_options.Running).Select(static branch => new BranchGuest(branch)).ToList();
        try
        {
            var enters = await TimeEachAsync(guests, guest => guest.EnterAsync(cancellationToken), cancellationToken);

            // Step 4: List all, again and again.
            var (lists, listCpuMs) = await ListAsync(followed, cancellationToken);

            // Step 5: Ask each running branch, and wake every sleeping one.
            var asks = await TimeEachAsync(guests, guest => guest.AskAsync(cancellationToken), cancellationToken);
            var status = await followed.StatusAsync(cancellationToken);
            var wakes = await TimeEachAsync(
                [.. branches.Skip(_options.Running)], branch => FollowedProduction.AskAsync(branch, SeedDirectory.FirstRowQuery, SeedDirectory.FirstRow, cancellationToken), cancellationToken);

            // Step 6: Judge.
            var resident = ProcessMeter.PeakResidentBytes(followed.Tributary.ProcessId);
            return new BenchmarkOutcome(
                [
                    new Measurement(Role.Ours, $"list, {_options.Running} running", lists.ToString(), listCpuMs, null),
                    new Measurement(Role.Ours, "list, all asleep", listsAsleep.ToString(), listAsleepCpuMs, null),
                    new Measurement(Role.Ours, "server, most resident", $"{status.Branches} branches, {status.Running} running", null, resident),
                    new Measurement(Role.Ours, "create from a seed", creates.ToString(), null, null),
                    new Measurement(Role.Ours, "enter, wake, query", enters.ToString(), null, null),
                    new Measurement(Role.Ours, "ask a running one", asks.ToString(), null, null),
                    new Measurement(Role.Ours, "wake a sleeping one", wakes.ToString(), null, null),
                ],
                Math.Max(lists.P50 / ListMsMax, resident / (double)ResidentBytesMax),
                $"{SeedDirectory.Description}; {AtOnce} requests at once, lists one by one; each branch was entered and answered with production's row; PostgreSQL {installation.Major}; {Environment.ProcessorCount} cores");
        }
        finally
        {
            foreach (var guest in guests)
                await guest.DisposeAsync();
        }
    }

    // With the processor time of one list, in the server and in the programs that it runs.
    async Task<(Durations Durations, double CpuMs)> ListAsync(FollowedProduction followed, CancellationToken cancellationToken)
    {
        var durations = new Durations();
        var cpuBefore = ProcessMeter.CpuMs(followed.Tributary.ProcessId);
        for (var round = 0; round < ListRounds; round++)
        {
            var started = Stopwatch.GetTimestamp();
            var listed = (await followed.BranchesAsync(cancellationToken)).Count;
            durations.Add(Stopwatch.GetElapsedTime(started));
            if (listed != _options.Branches)
                throw new InvalidOperationException($"The list has {listed} branches of {_options.Branches}.");
        }

        return (durations, (ProcessMeter.CpuMs(followed.Tributary.ProcessId) - cpuBefore) / ListRounds);
    }

    static async Task<Durations> TimeEachAsync<T>(IReadOnlyList<T> items, Func<T, Task> actAsync, CancellationToken cancellationToken)
    {
        var durations = new Durations();
        await Parallel.ForEachAsync(items, new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = cancellationToken }, async (item, _) =>
        {
            var started = Stopwatch.GetTimestamp();
            await actAsync(item);
            lock (durations)
                durations.Add(Stopwatch.GetElapsedTime(started));
        });
        return durations;
    }
}
