using Npgsql;
using Tributary.Postgres;

namespace Tributary.Branching;

/// <summary>Our own connections to servers of ours.</summary>
internal static class SuperuserCommand
{
    /// <exception cref="NpgsqlException">The server refuses, or does not answer.</exception>
    public static async Task<NpgsqlConnection> OpenAsync(string connectionString, CancellationToken cancellationToken)
    {
        var connection = new NpgsqlConnection(connectionString);
        try
        {
            await connection.OpenAsync(cancellationToken);
            return connection;
        }
        catch
        {
            await connection.DisposeAsync();
            throw;
        }
    }

    /// <summary>
    /// Where production's log ended for a server that has replayed it. After the end of recovery it stays what it was
    /// (https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-RECOVERY-CONTROL); a clean image that had nothing to replay
    /// is at its last checkpoint.
    /// </summary>
    /// <exception cref="NpgsqlException">The server does not answer.</exception>
    public static async Task<Lsn> ReplayedAsync(this NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("SELECT coalesce(pg_last_wal_replay_lsn(), (SELECT redo_lsn FROM pg_control_checkpoint()))::text", connection);
        return Lsn.Parse((string)(await command.ExecuteScalarAsync(cancellationToken))!);
    }

    /// <summary>Where the replay of the server's data would begin: its last checkpoint or restart point.</summary>
    /// <exception cref="NpgsqlException">The server does not answer.</exception>
    public static async Task<Lsn> RestartPointAsync(this NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("SELECT redo_lsn::text FROM pg_control_checkpoint()", connection);
        return Lsn.Parse((string)(await command.ExecuteScalarAsync(cancellationToken))!);
    }

    /// <summary>Runs a command whose answer does not matter on a connection of our own.</summary>
    /// <exception cref="NpgsqlException">The server refuses, or does not answer.</exception>
    public static async Task ExecuteAsync(this NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
