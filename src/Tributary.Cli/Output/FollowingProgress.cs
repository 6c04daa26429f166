using Tributary.Contracts;

namespace Tributary.Cli.Output;

/// <summary>How far main is on its way to follow production: one living line on a terminal, a line now and then in a pipe.</summary>
sealed class FollowingProgress(TextWriter output, bool quiet, TimeProvider time) : IDisposable
{
    /// <summary>Seldom enough for a log.</summary>
    static readonly TimeSpan PipeInterval = TimeSpan.FromSeconds(10);

    readonly bool _live = !Console.IsErrorRedirected;
    string? _shown;
    long _shownAt;
    string? _phase;

    public void Show(BranchingStatusResponse branching)
    {
        var line = Line(branching);
        if (quiet || line == _shown)
            return;
        // A new phase is told at once, the rest on a pipe now and then.
        var phase = line.Split(':')[0];
        if (!_live && phase == _phase && time.GetElapsedTime(_shownAt) < PipeInterval)
            return;
        (_phase, _shown, _shownAt) = (phase, line, time.GetTimestamp());
        output.Write(_live ? $"\r{line}\e[K" : $"{line}\n");
        output.Flush();
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

    /// <summary>What was shown last stays, on a line of its own.</summary>
    public void Dispose()
    {
        if (_live && _shown is not null)
            output.WriteLine();
        _shown = null;
    }
}
