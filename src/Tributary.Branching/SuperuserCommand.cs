using Npgsql;

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

    /// <summary>Runs a command whose answer does not matter on a connection of our own.</summary>
    /// <exception cref="NpgsqlException">The server refuses, or does not answer.</exception>
    public static async Task ExecuteAsync(this NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
