namespace Tributary.Load.Decode;

/// <summary>Reads a slot to a position and throws away what it reads.</summary>
interface IDecoder
{
    Role Role { get; }

    string Contestant { get; }

    Task<DecodeRun> RunAsync(string slot, CancellationToken cancellationToken);
}

/// <param name="Elapsed">From before the connection is opened until the position is reached.</param>
/// <param name="CpuMs">Processor time of the reader, without the server's.</param>
/// <param name="MemoryBytes">Memory of the reader's process near the end.</param>
/// <param name="Rows">Row changes that were decoded; null for a reader that does not count them.</param>
sealed record DecodeRun(TimeSpan Elapsed, double CpuMs, long MemoryBytes, long? Rows);
