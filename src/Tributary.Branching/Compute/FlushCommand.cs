using Npgsql;

namespace Tributary.Branching.Compute;

/// <summary>
/// Puts all that a server has acknowledged into its files: a checkpoint writes the log up to its own record
/// (https://www.postgresql.org/docs/current/wal-configuration.html), asynchronous commits before it included.
/// </summary>
internal static class FlushCommand
{
    /// <param name="roles">Superusers, of which one still exists.</param>
    /// <returns>Why none of them could; null when one did.</returns>
    public static async Task<string?> RunAsync(string socketDirectory, IReadOnlyList<string> roles, CancellationToken cancellationToken)
    {
        string? last = null;
        foreach (var role in roles)
        {
            try
            {
                await using var connection = new NpgsqlConnection($"Host={socketDirectory};Username={role};Database=template1;Pooling=false;Application Name=tributary");
                await connection.OpenAsync(cancellationToken);
                await connection.ExecuteAsync("CHECKPOINT", cancellationToken);
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
