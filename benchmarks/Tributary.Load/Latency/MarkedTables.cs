using Npgsql;

namespace Tributary.Load.Latency;

/// <summary>What is replicated: each transaction adds an order and raises its writer's mark, by which the replica tells how far it has come.</summary>
static class MarkedTables
{
    public const int Writers = 4;

    public static readonly string[] Transaction =
    [
        "INSERT INTO orders (writer, n, note) VALUES ($1, $2, repeat('x', 100))",
        "UPDATE marks SET n = $2 WHERE writer = $1",
    ];

    public const string Progress = "SELECT writer, n FROM marks";

    public const string Tables = """
        CREATE TABLE marks (writer int PRIMARY KEY, n bigint NOT NULL);
        CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, writer int NOT NULL, n bigint NOT NULL, note text);
        """;

    public static string Rows => $"INSERT INTO marks SELECT w, 0 FROM generate_series(0, {Writers - 1}) w";

    public static async Task ExecuteAsync(string connectionString, string sql, CancellationToken cancellationToken)
    {
        await using var connection = new NpgsqlConnection(connectionString);
        await connection.OpenAsync(cancellationToken);
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Process numbers, or whatever one column of integers holds.</summary>
    public static async Task<IReadOnlyList<int>> IntegersAsync(string connectionString, string sql, CancellationToken cancellationToken)
    {
        await using var connection = new NpgsqlConnection(connectionString);
        await connection.OpenAsync(cancellationToken);
        await using var command = new NpgsqlCommand(sql, connection);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var values = new List<int>();
        while (await reader.ReadAsync(cancellationToken))
            values.Add(reader.GetInt32(0));
        return values;
    }
}
