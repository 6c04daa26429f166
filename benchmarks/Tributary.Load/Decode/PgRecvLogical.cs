using System.Globalization;
using Tributary.Postgres;
using Tributary.Postgres.Programs;

namespace Tributary.Load.Decode;

/// <summary>Postgres's own client: it writes the messages as they are to /dev/null and decodes nothing.</summary>
sealed class PgRecvLogical(PostgresServer server, string publication, Lsn end) : IDecoder
{
    // Reading so often costs next to nothing, and the program lives for seconds.
    static readonly TimeSpan MemoryInterval = TimeSpan.FromMilliseconds(100);

    public Role Role => Role.Ceiling;

    public string Contestant => "pg_recvlogical to /dev/null";

    public async Task<DecodeRun> RunAsync(string slot, CancellationToken cancellationToken)
    {
        var cpuBefore = ProcessMeter.EndedChildrenCpuMs();
        var started = TimeProvider.System.GetTimestamp();
        using var process = await ChildProcesses.StartAsync(
            new ChildProcessSpec(server.Installation.Program("pg_recvlogical"),
            [
                "--host=127.0.0.1", $"--port={server.Port.ToString(CultureInfo.InvariantCulture)}", "--username=postgres", "--dbname=postgres", $"--slot={slot}", "--start",
                "--no-loop", "--option=proto_version=1", $"--option=publication_names={publication}", "--option=messages=true", "--file=/dev/null", $"--endpos={end}",
            ]), cancellationToken);
        var memory = 0L;
        try
        {
            while (!process.HasExited)
            {
                memory = Math.Max(memory, ProcessMeter.ProportionalBytes(process.Id));
                await Task.WhenAny(process.WaitForExitAsync(cancellationToken), Task.Delay(MemoryInterval, TimeProvider.System, cancellationToken));
                cancellationToken.ThrowIfCancellationRequested();
            }
        }
        finally
        {
            if (!process.HasExited)
                process.Kill();
        }

        var elapsed = TimeProvider.System.GetElapsedTime(started);
        if (process.ExitCode != 0)
            throw new ChildProcessException($"pg_recvlogical failed (exit code {process.ExitCode})");
        return new DecodeRun(elapsed, ProcessMeter.EndedChildrenCpuMs() - cpuBefore, memory, null);
    }
}
