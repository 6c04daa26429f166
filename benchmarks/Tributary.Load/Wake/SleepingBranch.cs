using System.Diagnostics;
using Tributary.Contracts;
using Tributary.Load.Create;

namespace Tributary.Load.Wake;

/// <summary>A branch that is put to sleep by leaving it, and woken by the ordinary driver through the gateway.</summary>
sealed class SleepingBranch(FollowedProduction followed, BranchResponse branch) : IBranchMaker
{
    /// <summary>The least that can be configured, so that a round takes seconds.</summary>
    public static readonly TimeSpan IdleTimeout = TimeSpan.FromSeconds(1);

    // Idle branches are looked for each second. To ask costs the server some work, so it is asked when the branch is most probably asleep.
    static readonly TimeSpan SleepsAfter = IdleTimeout + TimeSpan.FromSeconds(1.2);
    static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(300);

    public Role Role => Role.Ours;

    public string Contestant => "tributary";

    public double CpuMs => ProcessMeter.CpuMs(followed.Tributary.ProcessId);

    public async Task<MadeBranch> MakeAsync(string name, CancellationToken cancellationToken)
    {
        await WaitForSleepAsync(cancellationToken);
        var memoryBefore = ProcessMeter.TreeBytes(followed.Tributary.ProcessId);
        var elapsed = await EnterAsync(cancellationToken);
        var memoryBytes = ProcessMeter.TreeBytes(followed.Tributary.ProcessId) - memoryBefore;
        // What the gateway, the password and a backend's start cost without the wake.
        var awake = await EnterAsync(cancellationToken);
        return new MadeBranch(
            elapsed, [("the same when it is awake", awake), ("the rest: sandbox, start", elapsed - awake)], memoryBytes,
            async () => await WaitForSleepAsync(CancellationToken.None));
    }

    // From the connection to the first row.
    async Task<TimeSpan> EnterAsync(CancellationToken cancellationToken)
    {
        var started = Stopwatch.GetTimestamp();
        await FollowedProduction.AskAsync(branch, SeedDirectory.FirstRowQuery, SeedDirectory.FirstRow, cancellationToken);
        return Stopwatch.GetElapsedTime(started);
    }

    async Task WaitForSleepAsync(CancellationToken cancellationToken)
    {
        var pause = SleepsAfter;
        while ((await followed.BranchAsync(branch.Name, cancellationToken)).Compute != BranchCompute.Asleep)
        {
            await Task.Delay(pause, TimeProvider.System, cancellationToken);
            pause = PollInterval;
        }
    }
}
