namespace Tributary.Cli.Output;

/// <summary>Work that goes through phases: one living line on a terminal, a line now and then in a pipe.</summary>
sealed class PhaseLine(TextWriter output, bool quiet, TimeProvider time) : IDisposable
{
    /// <summary>Seldom enough for a log.</summary>
    static readonly TimeSpan PipeInterval = TimeSpan.FromSeconds(10);

    readonly bool _live = !Console.IsErrorRedirected;
    string? _shown;
    long _shownAt;
    string? _phase;

    public void Show(string phase, string line)
    {
        if (quiet || line == _shown)
            return;
        // A new phase is told at once, the rest on a pipe now and then.
        if (!_live && phase == _phase && time.GetElapsedTime(_shownAt) < PipeInterval)
            return;
        (_phase, _shown, _shownAt) = (phase, line, time.GetTimestamp());
        output.Write(_live ? $"\r{line}\e[K" : $"{line}\n");
        output.Flush();
    }

    /// <summary>What was shown last stays, on a line of its own.</summary>
    public void Dispose()
    {
        if (_live && _shown is not null)
            output.WriteLine();
        _shown = null;
    }
}
