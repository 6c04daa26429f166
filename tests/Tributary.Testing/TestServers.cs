using Npgsql;
using Tributary.Postgres.Programs;
using Xunit;

namespace Tributary.Testing;

/// <summary>
/// Real Postgres servers for tests. One server a test assembly is shared through <see cref="SharedAsync"/>; a test makes its own database in it,
/// so that tests do not see each other. Servers end with the test process.
/// </summary>
public static class TestServers
{
    static readonly Lazy<Task<PostgresServer>> Shared = new(() => StartAsync(["wal_level = logical", "max_wal_senders = 20", "max_replication_slots = 200"]));

    public static Task<PostgresServer> SharedAsync() => Shared.Value;

    /// <summary>A server of the test's own, with the fastest settings that keep crash safety within the process.</summary>
    public static async Task<PostgresServer> StartAsync(IReadOnlyList<string> settings) =>
        await PostgresServer.CreateAsync(
            PostgresInstallation.FindNewest(), TestFolder.New("pg"),
            ["shared_buffers = 32MB", "synchronous_commit = off", "max_connections = 100", "fsync = off", .. settings],
            TestContext.Current.CancellationToken);

    /// <summary>A new, empty database with a unique name; answers its connection string.</summary>
    public static async Task<string> NewDatabaseAsync(this PostgresServer server, string prefix = "t")
    {
        var name = $"{prefix}_{Guid.NewGuid():N}"[..24];
        await using var connection = new NpgsqlConnection(server.ConnectionString());
        await connection.OpenAsync(TestContext.Current.CancellationToken);
        await using var command = new NpgsqlCommand($"CREATE DATABASE {name}", connection);
        await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
        return server.ConnectionString(name);
    }
}
