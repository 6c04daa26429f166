using System.Diagnostics;
using Tributary.Contracts;
using Tributary.Load.Create;

namespace Tributary.Load.Burst;

/// <summary>Branches as of now, asked for over the API and entered through the gateway with the ordinary driver.</summary>
sealed class TributaryBurst(FollowedProduction followed) : IBurst
{
    public Role Role => Role.Ours;

    public string Contestant => "tributary";

    public double CpuMs => ProcessMeter.CpuMs(followed.Tributary.ProcessId);

    public long MemoryBytes => ProcessMeter.TreeBytes(followed.Tributary.ProcessId);

    public Task PrepareAsync(CancellationToken cancellationToken) => followed.WaitForSpareAsync(cancellationToken);

    public async Task<MadeBranch> MakeAsync(string name, CancellationToken cancellationToken)
    {
        var started = Stopwatch.GetTimestamp();
        var branch = await followed.CreateBranchAsync(new BranchCreateRequest { Name = name }, cancellationToken);
        var created = Stopwatch.GetElapsedTime(started);
        await FollowedProduction.AskAsync(branch, SeedDirectory.FirstWrite, SeedDirectory.FirstRow, cancellationToken);
        var elapsed = Stopwatch.GetElapsedTime(started);
        return new MadeBranch(elapsed, [("create over the API", created), ("connect, wake, write", elapsed - created)], 0, () => followed.DeleteBranchAsync(name));
    }
}
