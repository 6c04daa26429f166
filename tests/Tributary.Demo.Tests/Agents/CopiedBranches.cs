using Npgsql;
using Tributary.Demo.Agents;
using Tributary.Testing;

namespace Tributary.Demo.Tests.Agents;

/// <summary>Branches that are plain copies of the shop's database.</summary>
sealed class CopiedBranches(GeneratedShop shop) : IBranches
{
    readonly Lock _lock = new();
    readonly Dictionary<string, string> _databases = [];

    public List<string> Created { get; } = [];

    public List<string> Deleted { get; } = [];

    public bool KeepDeleted { get; init; }

    public string? Prepare { get; init; }

    public string? Refuse { get; init; }

    public string Last { get; private set; } = "";

    public async Task<BranchLease> CreateAsync(string name, CancellationToken cancellationToken)
    {
        if (name == Refuse)
            throw new BranchException("no branch for you");
        var database = await shop.CopyAsync("branch");
        lock (_lock)
        {
            Last = database;
            _databases[name] = database;
            Created.Add(name);
        }

        if (Prepare is { } sql)
            await ExecuteAsync(database, sql, cancellationToken);
        return new BranchLease(name, database);
    }

    public async Task DeleteAsync(string name, CancellationToken cancellationToken)
    {
        string? database;
        lock (_lock)
        {
            if (!_databases.Remove(name, out database))
                return;
            Deleted.Add(name);
        }

        if (!KeepDeleted)
        {
            var server = await TestServers.SharedAsync();
            var drop = $"DROP DATABASE {new NpgsqlConnectionStringBuilder(database).Database} WITH (FORCE)";
            await ExecuteAsync(server.ConnectionString() + ";Pooling=false", drop, cancellationToken);
        }
    }

    static async Task ExecuteAsync(string connectionString, string sql, CancellationToken cancellationToken)
    {
        await using var connection = new NpgsqlConnection(connectionString);
        await connection.OpenAsync(cancellationToken);
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
