namespace Tributary.Load.Latency;

/// <summary>What a replicator's processes cost over a while.</summary>
sealed class ReplicatorMeter
{
    readonly IReadOnlyList<int> _processIds;
    readonly double _cpuMsBefore;

    ReplicatorMeter(IReadOnlyList<int> processIds)
    {
        _processIds = processIds;
        _cpuMsBefore = processIds.Sum(ProcessMeter.CpuMs);
    }

    public static async Task<ReplicatorMeter> StartAsync(IReplicator replicator, CancellationToken cancellationToken) =>
        new(await replicator.ProcessIdsAsync(cancellationToken));

    /// <summary>Processor time in each second since the start, and memory now.</summary>
    public (double CpuMs, long Bytes) Read(TimeSpan duration) =>
        ((_processIds.Sum(ProcessMeter.CpuMs) - _cpuMsBefore) / duration.TotalSeconds, _processIds.Sum(ProcessMeter.ProportionalBytes));
}
