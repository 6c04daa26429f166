using System.Collections.Concurrent;
using System.Diagnostics;
using Tributary.Load.Create;
using Tributary.Postgres.Programs;

namespace Tributary.Load.Burst;

/// <summary>What a script would do: snapshot a stopped cluster, start a server on it, write as soon as it answers. All at once, with nothing that orders them.</summary>
sealed class ColdClones(PostgresInstallation installation, LoopPool pool, string seed) : IBurst
{
    // As a branch has it: its commits do not wait for the disk.
    static readonly (string, string)[] Settings = [("synchronous_commit", "off"), ("shared_buffers", "30MB"), ("wal_init_zero", "off"), ("wal_recycle", "off")];

    readonly ConcurrentDictionary<BarePostgres, string> _servers = [];

    public Role Role => Role.Ceiling;

    public string Contestant => "cold clones";

    public double CpuMs => ProcessMeter.EndedChildrenCpuMs();

    public long MemoryBytes => _servers.Keys.Sum(static server => ProcessMeter.TreeBytes(server.ProcessId));

    public Task PrepareAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public async Task<MadeBranch> MakeAsync(string name, CancellationToken cancellationToken)
    {
        var folder = Path.Combine(pool.Path, name);
        var started = Stopwatch.GetTimestamp();
        (await ChildProcesses.RunAsync(new ChildProcessSpec("btrfs", ["subvolume", "snapshot", seed, folder]), cancellationToken)).EnsureSucceeded("btrfs subvolume snapshot");
        var cloned = Stopwatch.GetElapsedTime(started);
        var server = await BarePostgres.StartAsync(installation, folder, Path.Combine(folder, "socket"), Settings, cancellationToken);
        _servers[server] = folder;
        try
        {
            await server.AskAsync(SeedDirectory.FirstWrite, SeedDirectory.FirstRow, cancellationToken);
            var elapsed = Stopwatch.GetElapsedTime(started);
            return new MadeBranch(elapsed, [("snapshot", cloned), ("start, write", elapsed - cloned)], 0, () => RemoveAsync(server, folder));
        }
        catch
        {
            await RemoveAsync(server, folder);
            throw;
        }
    }

    async ValueTask RemoveAsync(BarePostgres server, string folder)
    {
        _servers.TryRemove(server, out _);
        await server.DisposeAsync();
        (await ChildProcesses.RunAsync(new ChildProcessSpec("btrfs", ["subvolume", "delete", folder]), CancellationToken.None)).EnsureSucceeded("btrfs subvolume delete");
    }
}
