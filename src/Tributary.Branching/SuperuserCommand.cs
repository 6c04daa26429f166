using Npgsql;

namespace Tributary.Branching;

internal static class SuperuserCommand
{
    /// <summary>Runs a command whose answer does not matter on a connection of our own.</summary>
    /// <exception cref="NpgsqlException">The server refuses, or does not answer.</exception>
    public static async Task ExecuteAsync(this NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
