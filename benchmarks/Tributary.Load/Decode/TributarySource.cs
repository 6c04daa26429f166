using Tributary.Postgres;
using Tributary.Postgres.Programs;
using Tributary.Streaming;
using Tributary.Streaming.Sources;

namespace Tributary.Load.Decode;

/// <summary>The stream's source: every message decoded, every row kept until its transaction's commit, the whole transaction dropped.</summary>
sealed class TributarySource(PostgresServer server, string publication, Lsn start, Lsn end) : IDecoder
{
    public Role Role => Role.Ours;

    public string Contestant => "Tributary, decoded into transactions";

    public async Task<DecodeRun> RunAsync(string slot, CancellationToken cancellationToken)
    {
        var url = new PostgresUrl { Host = "127.0.0.1", Port = server.Port, User = "postgres", Database = "postgres" };
        var options = new StreamOptions { Name = "decode", Source = url, Target = url, SlotName = slot, PublicationName = publication };
        var cpuBefore = ProcessMeter.CpuMs(Environment.ProcessId);
        var started = TimeProvider.System.GetTimestamp();
        var rows = 0L;
        await using (var source = new ReplicationSource(options, TimeProvider.System))
        {
            await source.OpenAsync(cancellationToken);
            await foreach (var item in source.ReadAsync(start, cancellationToken))
            {
                if (item.Transaction is { } transaction)
                {
                    rows += transaction.Count;
                    transaction.Dispose();
                }

                if (item.Kind != SourceEventKind.Entered && item.Lsn >= end)
                    break;
            }
        }

        var elapsed = TimeProvider.System.GetElapsedTime(started);
        return new DecodeRun(
            elapsed, ProcessMeter.CpuMs(Environment.ProcessId) - cpuBefore, ProcessMeter.ProportionalBytes(Environment.ProcessId), rows);
    }
}
