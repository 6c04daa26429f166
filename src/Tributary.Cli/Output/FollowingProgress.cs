using Tributary.Contracts;

namespace Tributary.Cli.Output;

/// <summary>How far main is on its way to follow production.</summary>
sealed class FollowingProgress(TextWriter output, bool quiet, TimeProvider time) : IDisposable
{
    readonly PhaseLine _line = new(output, quiet, time);

    public void Show(BranchingStatusResponse branching)
    {
        var line = Line(branching);
        _line.Show(line.Split(':')[0], line);
    }

    public static string Line(BranchingStatusResponse branching) => branching switch
    {
        { Phase: "baseBackup" } => $"copying production: {branching.BaseBackupPercent ?? 0:0} %",
        { Phase: "catchingUp" } => "main catches up with production",
        { Phase: "following", Seeds.Count: 0 } => "the first seed is being made",
        { Phase: "following", SparesReady: 0 } => "the first spare is being started",
        { Phase: "following" } => $"main follows production{(branching.MainLsn is { } lsn ? $" at {lsn}" : "")}",
        _ => "the server starts",
    };

    public void Dispose() => _line.Dispose();
}
