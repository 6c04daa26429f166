using System.Diagnostics;

namespace Tributary.Load.Burst;

/// <summary>What one contestant's bursts add up to.</summary>
sealed class BurstTally
{
    readonly StepDurations _parts = new();
    double _cpuMs;
    long _memoryBytes;
    int _branches;

    /// <summary>Until the last of a burst is usable.</summary>
    public Durations All { get; } = new();

    /// <summary>Until a branch is.</summary>
    public Durations Each { get; } = new();

    public IEnumerable<Measurement> Measurements(IBurst maker) =>
    [
        new Measurement(maker.Role, $"{maker.Contestant}, all usable", All.ToString(), null, null),
        new Measurement(maker.Role, $"{maker.Contestant}, each", Each.ToString(), _cpuMs / _branches, _memoryBytes / _branches),
        .. _parts.Measurements,
    ];

    public async Task RunAsync(int round, int branches, IBurst maker, CancellationToken cancellationToken)
    {
        await maker.PrepareAsync(cancellationToken);
        var (cpuBefore, memoryBefore) = (maker.CpuMs, maker.MemoryBytes);
        var started = Stopwatch.GetTimestamp();
        var making = Enumerable.Range(0, branches).Select(number => maker.MakeAsync($"burst-{round}-{number}", cancellationToken)).ToList();
        try
        {
            await Task.WhenAll(making);
            All.Add(Stopwatch.GetElapsedTime(started));
            _memoryBytes += maker.MemoryBytes - memoryBefore;
        }
        finally
        {
            // Also when one of them has failed, so that nothing of the others stays.
            foreach (var made in making.Where(static task => task.IsCompletedSuccessfully))
                await (await made).DisposeAsync();
        }

        _cpuMs += maker.CpuMs - cpuBefore;
        _branches += branches;
        foreach (var branch in making)
        {
            var made = await branch;
            Each.Add(made.Elapsed);
            _parts.Add(made.Parts);
        }
    }
}
