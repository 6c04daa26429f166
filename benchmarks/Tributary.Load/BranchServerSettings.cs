using Npgsql;
using Tributary.Contracts;

namespace Tributary.Load;

/// <summary>What a branch's server runs with, so that a contestant can run with the same: every setting that it was started with and that a client may see.</summary>
static class BranchServerSettings
{
    // Where it lies and how it is reached is each contestant's own.
    const string Query = """
        SELECT name, current_setting(name) FROM pg_settings
        WHERE source IN ('configuration file', 'command line') AND context <> 'internal'
          AND name NOT IN ('config_file', 'data_directory', 'hba_file', 'ident_file', 'external_pid_file', 'listen_addresses', 'port', 'cluster_name')
          AND name NOT LIKE 'unix\_socket%'
        ORDER BY name
        """;

    public static async Task<IReadOnlyList<(string Name, string Value)>> ReadAsync(BranchResponse branch, CancellationToken cancellationToken)
    {
        await using var connection = new NpgsqlConnection(FollowedProduction.ConnectionString(branch));
        await connection.OpenAsync(cancellationToken);
        await using var command = new NpgsqlCommand(Query, connection);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var settings = new List<(string, string)>();
        while (await reader.ReadAsync(cancellationToken))
            settings.Add((reader.GetString(0), reader.GetString(1)));
        return settings;
    }
}
