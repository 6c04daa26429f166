using System.Diagnostics;
using Tributary.Contracts;
using Tributary.Load.Create;
using Tributary.Postgres.Programs;

namespace Tributary.Load.Scale;

/// <summary>Branches of the newest seed of a production with so much data.</summary>
sealed class SizedBranches : IBranchMaker, IAsyncDisposable
{
    readonly FollowedProduction _followed;
    readonly int _gigabytes;

    SizedBranches(FollowedProduction followed, int gigabytes) => (_followed, _gigabytes) = (followed, gigabytes);

    public Role Role => Role.Ours;

    public string Contestant => $"tributary, {_gigabytes} GB";

    public double CpuMs => ProcessMeter.CpuMs(_followed.Tributary.ProcessId);

    public static async Task<SizedBranches> StartAsync(PostgresInstallation installation, LoopPool pool, int gigabytes, CancellationToken cancellationToken) => new(
        await FollowedProduction.StartInAsync(
            installation, pool, $"size-{gigabytes}", "", (server, token) => WideTable.FillAsync(server, (long)gigabytes << 30, token), cancellationToken),
        gigabytes);

    public async Task<MadeBranch> MakeAsync(string name, CancellationToken cancellationToken)
    {
        var memoryBefore = ProcessMeter.TreeBytes(_followed.Tributary.ProcessId);
        var started = Stopwatch.GetTimestamp();
        var branch = await _followed.CreateBranchAsync(new BranchCreateRequest { Name = name, FromSeed = true }, cancellationToken);
        var created = Stopwatch.GetElapsedTime(started);
        await FollowedProduction.AskAsync(branch, WideTable.FirstRowQuery, WideTable.FirstRow, cancellationToken);
        var elapsed = Stopwatch.GetElapsedTime(started);
        return new MadeBranch(
            elapsed, [("create over the API", created), ("connect, wake, query", elapsed - created)],
            ProcessMeter.TreeBytes(_followed.Tributary.ProcessId) - memoryBefore, () => _followed.DeleteBranchAsync(name));
    }

    public ValueTask DisposeAsync() => _followed.DisposeAsync();
}
