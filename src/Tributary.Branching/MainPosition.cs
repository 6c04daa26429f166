using Tributary.Postgres;

namespace Tributary.Branching;

/// <summary>Where main is.</summary>
/// <param name="Lsn">Production's log is replayed up to here.</param>
/// <param name="DataTime">A moment at which production was no further than <paramref name="Lsn"/>: the data is at least as new.</param>
internal sealed record MainPosition(Lsn Lsn, DateTimeOffset DataTime);
