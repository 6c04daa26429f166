namespace Tributary.Load.Create;

/// <summary>What one contestant's rounds add up to.</summary>
sealed class MakerTally(IBranchMaker maker)
{
    readonly StepDurations _parts = new();
    double _cpuMs;
    long _memoryBytes;
    int _rounds;

    public Durations Whole { get; } = new();

    public IEnumerable<Measurement> Measurements =>
    [
        new Measurement(maker.Role, maker.Contestant, Whole.ToString(), _cpuMs / _rounds, _memoryBytes / _rounds),
        .. _parts.Measurements,
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
        _parts.Add(made.Parts);
        // Its processes have ended by now, so the kernel has booked their time on the one that started them.
        _cpuMs += maker.CpuMs - cpuBefore;
        _memoryBytes += made.MemoryBytes;
        _rounds++;
    }

    /// <summary>Lets each contestant make a branch in turn.</summary>
    /// <param name="warmUpRounds">Rounds that fill caches and count for nothing.</param>
    public static async Task RunAllAsync(IReadOnlyList<MakerTally> tallies, int warmUpRounds, int rounds, CancellationToken cancellationToken)
    {
        for (var round = -warmUpRounds; round < rounds; round++)
        {
            foreach (var tally in tallies)
                await tally.RunAsync($"bench-{round + warmUpRounds}", counts: round >= 0, cancellationToken);
        }
    }
}
