using System.Globalization;
using Npgsql;
using Tributary.Branching.Archiving;
using Tributary.Branching.Seeding;
using Tributary.Postgres.Programs;

namespace Tributary.Branching;

/// <summary>
/// Cuts the past: a volume of exactly the moment that was asked for.
/// <list type="number">
/// <item>Wait until main is past the moment, so that all that belongs to it is here.</item>
/// <item>Take the newest base image from before it.</item>
/// <item>Recover a clone of the image with the archived log up to the moment.</item>
/// </list>
/// </summary>
internal sealed class PastCuts(
    BranchingOptions options, ArchiveKeeper archive, PointMaker maker, IMain main, TimeProvider time)
{
    static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(20);

    /// <summary>Whether it may be worth a try.</summary>
    public bool IsOn => archive.IsOn;

    /// <summary>Makes the volume of a branch's number.</summary>
    public async Task<BranchResult<Cut>> CutAsync(BranchPoint point, long number, CancellationToken cancellationToken)
    {
        if (options.Following == FollowingMode.None)
            return new BranchError(BranchErrorKind.InvalidRequest, "Main follows no production (branching.following: none), so there is no log of its past. Its present can be branched, and branches can be forked and reset.");
        if (options.Following == FollowingMode.Logical)
            return new BranchError(BranchErrorKind.InvalidRequest, "Main gets production's rows and not its log (branching.following: logical), so no moment of the past can be recovered. The present and the seeds can be branched, and branches can be forked and reset.");
        if (!archive.IsOn)
            return new BranchError(BranchErrorKind.InvalidRequest, "No log is archived, so only the present and the seeds can be branched. Set branching.wal-retention, with a storage whose clones share their bytes.");
        try
        {
            // Step 1: wait for main.
            if (await WaitForAsync(point, cancellationToken) is not { } reached)
                return await OutsideAsync(point, cancellationToken);

            // Step 2: an image.
            if (archive.Use(point) is not { } image)
                return await OutsideAsync(point, cancellationToken);
            try
            {
                // Step 3: recover.
                var whole = new HashSet<string>(StringComparer.Ordinal);
                var (lsn, committedAt) = await maker.MakeAsync(
                    number, image.Volume, point, point.Lsn ?? reached.Lsn,
                    (directory, token) => archive.CopyLogAsync(image, directory, whole, token), cancellationToken);
                return new Cut(null, null, lsn, point.Time ?? committedAt ?? image.DataTime) { Point = point };
            }
            finally
            {
                archive.Release(image);
            }
        }
        catch (ChildProcessException exception)
        {
            return new BranchError(BranchErrorKind.ComputeFailed, $"Production as of {point} could not be recovered. {exception.Message}");
        }
        catch (NpgsqlException exception)
        {
            return new BranchError(BranchErrorKind.ComputeFailed, $"Production as of {point} could not be recovered: {exception.Message}");
        }
    }

    // Null when main does not get there in time, or the moment is yet to come.
    async Task<MainPosition?> WaitForAsync(BranchPoint point, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        // Production's clock may be a little ahead of this one; a moment that is far ahead is a mistake.
        if (point.Time > time.GetUtcNow() + options.NowTimeout)
            return null;
        while (true)
        {
            var reached = await main.PositionAsync(cancellationToken);
            if (point.Lsn is { } lsn ? reached.Lsn >= lsn : reached.DataTime >= point.Time)
                return point.Lsn is null ? await WithUnflushedAsync(reached, cancellationToken) : reached;
            if (time.GetElapsedTime(started) > options.NowTimeout)
                return null;
            await Task.Delay(PollInterval, time, cancellationToken);
        }
    }

    // What production sends is flushed, and a commit that did not wait for its flush may be older than what has been sent. So production is asked
    // where its log ended after the moment; one that is down has lost what it had not flushed, and main has all there is.
    async Task<MainPosition?> WithUnflushedAsync(MainPosition reached, CancellationToken cancellationToken)
    {
        try
        {
            var moment = await main.AcknowledgedAsync(cancellationToken);
            return await main.ReachAsync(moment, main.WaitForAsync, options.NowTimeout, cancellationToken) ? await main.PositionAsync(cancellationToken) : null;
        }
        catch (BranchingException)
        {
            return reached;
        }
    }

    async Task<BranchError> OutsideAsync(BranchPoint point, CancellationToken cancellationToken)
    {
        var newest = await main.PositionAsync(cancellationToken);
        return new BranchError(BranchErrorKind.InvalidRequest, archive.Oldest is { } oldest
            ? $"{point} is outside the archive, which reaches from {Moment(oldest.DataTime)} ({oldest.Lsn}) to {Moment(newest.DataTime)} ({newest.Lsn}). branching.wal-retention says how far back it goes."
            : "The archive has just begun, and no moment can be recovered from it yet; try again in a few seconds.");
    }

    static string Moment(DateTimeOffset moment) => moment.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss'Z'", CultureInfo.InvariantCulture);
}
