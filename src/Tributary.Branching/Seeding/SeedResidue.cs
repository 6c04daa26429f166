using Npgsql;
using Tributary.Postgres.Programs;

namespace Tributary.Branching.Seeding;

/// <summary>
/// What a change leaves behind on the disk. A row that is updated stays in its table's file until it is overwritten, and the log that a seed
/// has replayed holds every row as production wrote it; a superuser of a branch reads both with pg_read_binary_file. So the tables that
/// held secrets are rewritten, and the log is left behind.
/// </summary>
internal static class SeedResidue
{
    /// <summary>What the command says of rows that it could not leave behind, after their number.</summary>
    const string KeptRows = " dead row versions cannot be removed yet";

    /// <summary>The digits of the timeline, of the log's number and of the segment's in it.</summary>
    const int SegmentNameLength = 3 * TimelineDigits;

    const int TimelineDigits = 8;

    /// <summary>No session but Tributary's is there, and those that begin have their snapshots for milliseconds.</summary>
    static readonly TimeSpan RewriteLimit = TimeSpan.FromSeconds(20);

    static readonly TimeSpan RewritePause = TimeSpan.FromMilliseconds(5);

    /// <summary>
    /// Removes what defusing has overwritten. The next checkpoint ends the removal: after <see cref="LeaveLogBehindAsync"/> it is in a
    /// segment of its own, and since nothing is recycled (see the settings of a server), all segments before it are deleted.
    /// </summary>
    /// <exception cref="NpgsqlException">The server does not answer.</exception>
    public static async Task RemoveAsync(NpgsqlConnection connection, TimeProvider time, CancellationToken cancellationToken)
    {
        await RewriteAsync(connection, "pg_catalog.pg_authid", time, cancellationToken);
        await using var size = new NpgsqlCommand("SELECT pg_relation_size('pg_catalog.pg_subscription')", connection);
        if (await size.ExecuteScalarAsync(cancellationToken) is not 0L)
            await RewriteAsync(connection, "pg_catalog.pg_subscription", time, cancellationToken);
    }

    /// <summary>
    /// Writes a table into a new file, without any row that is no more; the old file is unlinked at the checkpoint (mdunlink in
    /// src/backend/storage/smgr/md.c). A row that somebody's snapshot may still see would go along, and a session that is just beginning counts as
    /// somebody, so it is done again until the command says that there is none (copy_table_data in src/backend/commands/cluster.c).
    /// </summary>
    /// <param name="connection">Its messages are in English.</param>
    /// <exception cref="ChildProcessException">Something keeps such rows for too long.</exception>
    /// <exception cref="NpgsqlException">The server does not answer.</exception>
    public static async Task RewriteAsync(NpgsqlConnection connection, string table, TimeProvider time, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        string? kept = null;
        void Read(object sender, NpgsqlNoticeEventArgs notice)
        {
            if (notice.Notice.Detail?.IndexOf(KeptRows, StringComparison.Ordinal) is { } end and > 0)
                kept = notice.Notice.Detail[..end];
        }

        connection.Notice += Read;
        try
        {
            while (true)
            {
                kept = null;
                await connection.ExecuteAsync($"VACUUM (FULL, VERBOSE) {table}", cancellationToken);
                if (kept == "0")
                    return;
                if (time.GetElapsedTime(started) > RewriteLimit)
                    throw new ChildProcessException($"{table} still holds {kept ?? "an unknown number of"} rows of production's that are no more, after {RewriteLimit.TotalSeconds:0} s.");
                await Task.Delay(RewritePause, time, cancellationToken);
            }
        }
        finally
        {
            connection.Notice -= Read;
        }
    }

    /// <summary>The timeline that a primary writes, as the names of its log's segments begin (XLogFileName in src/include/access/xlog_internal.h).</summary>
    /// <exception cref="NpgsqlException">The server does not answer.</exception>
    public static async Task<string> TimelineAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("SELECT pg_walfile_name(pg_current_wal_lsn())", connection);
        return ((string)(await command.ExecuteScalarAsync(cancellationToken))!)[..TimelineDigits];
    }

    /// <summary>Removes the log of the timelines that a promotion has left, from a server that was stopped in order since.</summary>
    public static void RemoveOtherTimelines(string dataDirectory, string timeline)
    {
        foreach (var segment in new DirectoryInfo(Path.Combine(dataDirectory, "pg_wal")).EnumerateFiles())
        {
            if (segment.Name.Length == SegmentNameLength && !segment.Name.StartsWith(timeline, StringComparison.Ordinal))
                segment.Delete();
        }
    }

    /// <summary>Lets the next checkpoint, also that of a stop, remove all the log there is.</summary>
    public static Task LeaveLogBehindAsync(NpgsqlConnection connection, CancellationToken cancellationToken) =>
        connection.ExecuteAsync("SELECT pg_switch_wal()", cancellationToken);
}
