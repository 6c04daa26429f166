using Npgsql;

namespace Tributary.Branching.Compute;

/// <summary>Commands of ours in a branch's server.</summary>
internal static class BranchCommand
{
    /// <summary>
    /// Puts all that a server has acknowledged into its files: a checkpoint writes the log up to its own record
    /// (https://www.postgresql.org/docs/current/wal-configuration.html), asynchronous commits before it included.
    /// </summary>
    public const string Flush = "CHECKPOINT";

    /// <summary>
    /// Lets the checkpoint of the stop that follows remove the log of what was written, which it else keeps up to a whole segment of; a slot keeps
    /// what it needs. A switch writes the rest of the segment, so that it is worth it once a quarter is written.
    /// </summary>
    public const string LeaveLog =
        """
        SELECT pg_switch_wal() FROM (SELECT setting::numeric AS size FROM pg_settings WHERE name = 'wal_segment_size') segment
        WHERE mod(pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0'), size) > size / 4
        """;

    /// <param name="roles">Superusers, of which one still exists.</param>
    /// <param name="major">The server's major version.</param>
    /// <returns>Why none of them could; null when one did.</returns>
    public static async Task<string?> RunAsync(string sql, string socketDirectory, IReadOnlyList<string> roles, int major, CancellationToken cancellationToken)
    {
        string? last = null;
        foreach (var role in roles)
        {
            try
            {
                await using var connection = await SuperuserCommand.OpenAsync(SuperuserCommand.ConnectionString(socketDirectory, role, "template1", major), cancellationToken);
                await connection.ExecuteAsync(sql, cancellationToken);
                return null;
            }
            catch (NpgsqlException exception)
            {
                last = exception.Message;
            }
        }

        return last;
    }
}
