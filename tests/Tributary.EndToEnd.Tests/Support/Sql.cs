using Npgsql;
using Tributary.Contracts;
using Tributary.Testing;
using Tributary.Postgres.Programs;

namespace Tributary.EndToEnd.Tests.Support;

/// <summary>Questions to servers and branches, by the ordinary driver and by psql.</summary>
static class Sql
{
    static CancellationToken Token => TestContext.Current.CancellationToken;

    public static string Password(this BranchResponse branch) => Uri.UnescapeDataString(new Uri(branch.Url).UserInfo.Split(':')[1]);

    public static string ConnectionString(this BranchResponse branch, string? user = null, string? password = null) => new NpgsqlConnectionStringBuilder
    {
        Host = branch.Host,
        Port = branch.Port,
        Username = user ?? branch.User,
        Password = password ?? branch.Password(),
        Database = branch.Database,
        Options = $"-c branch={branch.Name}",
        Pooling = false,
        Timeout = 30,
        IncludeErrorDetail = true,
    }.ConnectionString;

    public static async Task<NpgsqlConnection> OpenAsync(string connectionString)
    {
        var connection = new NpgsqlConnection(connectionString);
        await connection.OpenAsync(Token);
        return connection;
    }

    public static async Task<object?> AskAsync(string connectionString, string sql)
    {
        await using var connection = await OpenAsync(connectionString);
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 60 };
        return await command.ExecuteScalarAsync(Token);
    }

    public static Task<object?> AskAsync(this BranchResponse branch, string sql) => AskAsync(branch.ConnectionString(), sql);

    /// <summary>All rows of a table as Postgres writes them, in their order as text.</summary>
    public static async Task<IReadOnlyList<string>> RowsAsync(string connectionString, string table)
    {
        await using var connection = await OpenAsync(connectionString);
        await using var command = new NpgsqlCommand($"SELECT t::text FROM {table} t ORDER BY 1", connection);
        await using var reader = await command.ExecuteReaderAsync(Token);
        var rows = new List<string>();
        while (await reader.ReadAsync(Token))
            rows.Add(reader.GetString(0));
        return rows;
    }

    /// <summary>What <c>psql</c> needs beside its arguments.</summary>
    public static ChildProcessSpec Psql(string connection, string sql, string? password = null) =>
        new("env", ["--default-signal=INT", TestServers.Newest.ClientProgram("psql"), "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", connection, "-c", sql])
        {
            Environment = password is null ? new Dictionary<string, string>() : new Dictionary<string, string> { ["PGPASSWORD"] = password },
        };

    /// <summary>What <c>psql</c> prints, connected exactly by <paramref name="connection"/>.</summary>
    public static async Task<string> PsqlAsync(string connection, string sql, string? password = null) =>
        (await ChildProcesses.RunAsync(Psql(connection, sql, password), Token)).EnsureSucceeded("psql").StandardOutput.Trim();
}
