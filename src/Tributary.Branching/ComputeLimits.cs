using Tributary.Branching.Compute;

namespace Tributary.Branching;

/// <summary>What one running server may take of the machine; null is no limit. The kernel holds it to that, by control groups.</summary>
public sealed record ComputeLimits
{
    /// <summary>Memory with its page cache and shared memory, in bytes. Beyond it the cache goes first; then the kernel kills a process of this server alone.</summary>
    public long? MemoryBytesMax { get; init; }

    /// <summary>Processor time a second, in cores: 0.5 is half of one.</summary>
    public double? CpusMax { get; init; }

    /// <summary>Processes at once, the server's own among them.</summary>
    public int? ProcessesMax { get; init; }

    /// <summary>Why this machine cannot hold servers to all limits, as a sentence; null when it can. Changes nothing.</summary>
    public static string? Obstacle() => ControlGroups.FindObstacle(ControlGroups.MachineRoot);
}
