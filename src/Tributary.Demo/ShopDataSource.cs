using Npgsql;

namespace Tributary.Demo;

/// <summary>The driver as the demo uses it: the slim builder with arrays and TLS, so that a native binary carries nothing else.</summary>
static class ShopDataSource
{
    /// <summary>Pooling stays as the connection string says; the caller disposes the source.</summary>
    public static NpgsqlDataSource Create(string connectionString)
    {
        var builder = new NpgsqlSlimDataSourceBuilder(connectionString);
        builder.EnableArrays();
        builder.EnableTransportSecurity();
        return builder.Build();
    }

    /// <summary>Makes an empty database on the server that a connection string leads to.</summary>
    public static async Task CreateDatabaseAsync(string connectionString, string name, CancellationToken cancellationToken)
    {
        await using var source = CreateUnpooled(connectionString);
        await using var command = source.CreateCommand($"CREATE DATABASE {Postgres.SqlQuoting.Identifier(name)}");
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>One session that is closed for good when the source is disposed, as an agent's should be: a pooled one would hold its branch awake.</summary>
    public static NpgsqlDataSource CreateUnpooled(string connectionString) =>
        Create(new NpgsqlConnectionStringBuilder(connectionString) { Pooling = false }.ConnectionString);
}
