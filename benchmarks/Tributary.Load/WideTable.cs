using Npgsql;
using Tributary.Load.Latency;
using Tributary.Postgres.Programs;

namespace Tributary.Load;

/// <summary>
/// A table of any size, loaded as fast as the disk takes it: without log (<c>wal_level = minimal</c>), without flushes, and frozen, so that no
/// vacuum writes it a second time.
/// Source: https://www.postgresql.org/docs/current/populate.html
/// </summary>
static class WideTable
{
    /// <summary>Of a row on its page: 384 bytes of text, the header, the number and the line pointer; 19 rows fill a page.</summary>
    public const int RowBytes = 8192 / 19;

    public const string FirstRowQuery = "SELECT id FROM wide ORDER BY id LIMIT 1";

    public const string FirstRow = "1";

    const int TextChars = 384;

    /// <summary>The rows that make so many bytes, with the index of their numbers.</summary>
    public static long RowsOf(long bytes) => bytes / (RowBytes + IndexBytesPerRow);

    // An entry of 16 bytes and its pointer, on pages that are nine tenths full.
    const int IndexBytesPerRow = 22;

    /// <summary>Restarts the server for the load, and again with its own settings after it.</summary>
    public static async Task FillAsync(PostgresServer server, long bytes, CancellationToken cancellationToken)
    {
        string[] settings = ["wal_level", "max_wal_senders", "fsync", "maintenance_work_mem"];
        string[] values = ["minimal", "0", "off", "1GB"];
        await ExecuteAsync(server, settings.Zip(values, static (name, value) => $"ALTER SYSTEM SET {name} = '{value}'"), cancellationToken);
        await RestartAsync(server, cancellationToken);
        await LoadAsync(server, RowsOf(bytes), cancellationToken);
        await ExecuteAsync(server, [.. settings.Select(static name => $"ALTER SYSTEM RESET {name}"), "VACUUM (ANALYZE) wide", "CHECKPOINT"], cancellationToken);
        await RestartAsync(server, cancellationToken);
    }

    static async Task LoadAsync(PostgresServer server, long rows, CancellationToken cancellationToken)
    {
        await using var connection = new NpgsqlConnection($"{server.ConnectionString()};Pooling=false;Command Timeout=0");
        await connection.OpenAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await using (var create = new NpgsqlCommand("CREATE TABLE wide (id bigint NOT NULL, filler text NOT NULL)", connection))
            await create.ExecuteNonQueryAsync(cancellationToken);
        await using (var import = await connection.BeginTextImportAsync("COPY wide FROM STDIN (FREEZE)", cancellationToken))
        {
            for (long id = 1; id <= rows; id++)
                await import.WriteAsync(Line(id).AsMemory(), cancellationToken);
        }

        await using (var index = new NpgsqlCommand("ALTER TABLE wide ADD PRIMARY KEY (id)", connection))
            await index.ExecuteNonQueryAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
    }

    // Rows of words and numbers, as tables have them: neither noise nor one letter.
    static string Line(long id) => string.Create(null, $"{id}\t{string.Concat(Enumerable.Range(0, TextChars / 16).Select(part => $"{(ulong)(id + part) * 0x9E3779B97F4A7C15:x16}"))}\n");

    static async Task RestartAsync(PostgresServer server, CancellationToken cancellationToken)
    {
        await server.StopAsync("INT", cancellationToken);
        await server.StartAsync(cancellationToken);
    }

    static async Task ExecuteAsync(PostgresServer server, IEnumerable<string> statements, CancellationToken cancellationToken)
    {
        foreach (var statement in statements)
            await MarkedTables.ExecuteAsync($"{server.ConnectionString()};Pooling=false;Command Timeout=0", statement, cancellationToken);
    }
}
