using System.Globalization;
using Tributary.Postgres;

namespace Tributary.Streaming.Sources;

/// <summary>
/// Makes sure that the source's log still holds what the target has. A promoted standby begins a new timeline where its own log ended: a target
/// that is further than that holds transactions which the source has lost, and the positions behind mean other changes now. A slot cannot tell,
/// since one that is made anew on the promoted server may begin before the saved position.
/// Source: https://www.postgresql.org/docs/current/continuous-archiving.html#BACKUP-TIMELINES, and readTimeLineHistory in
/// src/backend/access/transam/timeline.c.
/// </summary>
internal static class TimelineCheck
{
    /// <exception cref="StreamException">Kind Gap: the source's history leaves out the saved position.</exception>
    public static async Task RunAsync(
        ReplicationConnection source, StreamOptions options, Checkpoint checkpoint, uint timeline, CancellationToken cancellationToken)
    {
        // Zero: not known, or a standby's, which can change at any moment.
        if (timeline == 0 || checkpoint.Timeline == 0 || timeline == checkpoint.Timeline)
            return;
        var history = timeline > checkpoint.Timeline && await source.QueryAsync($"TIMELINE_HISTORY {timeline}", cancellationToken) is [[_, { } text]] ? text : "";
        if (EndOf(checkpoint.Timeline, history) is not { } end)
            throw SlotCheck.Gap(options, $"The source is on timeline {timeline}, which does not descend from timeline {checkpoint.Timeline} of the saved position");
        if (checkpoint.Position > end)
        {
            throw SlotCheck.Gap(
                options,
                $"The source was promoted at {end}, before the saved position {checkpoint.Position}: the target holds transactions that the source has lost");
        }
    }

    /// <summary>Where a timeline was left for the next one; null when the history does not name it.</summary>
    internal static Lsn? EndOf(uint timeline, string history)
    {
        foreach (var line in history.Split('\n'))
        {
            var fields = line.Split((char[])['\t', ' '], StringSplitOptions.RemoveEmptyEntries);
            if (fields.Length >= 2 && uint.TryParse(fields[0], NumberStyles.None, CultureInfo.InvariantCulture, out var parent) && parent == timeline &&
                Lsn.TryParse(fields[1], out var end))
                return end;
        }

        return null;
    }
}
