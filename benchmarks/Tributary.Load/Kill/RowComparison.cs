using Npgsql;

namespace Tributary.Load.Kill;

/// <summary>
/// Compares every table of two databases row by row, as text: both sides sorted alike and read side by side, so that neither is held in memory.
/// </summary>
/// <param name="Rows">Rows of the source that were compared.</param>
/// <param name="Lost">Rows that the source has more often than the target.</param>
/// <param name="Doubled">Rows that the target has more often than the source.</param>
/// <param name="Tables">The tables in which a difference was found.</param>
/// <param name="First">The first row that only one side has.</param>
sealed record RowComparison(long Rows, long Lost, long Doubled, IReadOnlyList<string> Tables, string? First)
{
    // The rows of an unlogged table stay where they are.
    const string TableNames =
        """
        SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE (c.relkind = 'r' AND c.relpersistence = 'p' OR c.relkind = 'm' AND c.relispopulated) AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'tributary') ORDER BY 1
        """;

    public static async Task<RowComparison> RunAsync(string source, string target, CancellationToken cancellationToken)
    {
        await using var left = await OpenAsync(source, cancellationToken);
        await using var right = await OpenAsync(target, cancellationToken);
        var names = new List<string>();
        await using (var command = new NpgsqlCommand(TableNames, left))
        await using (var reader = await command.ExecuteReaderAsync(cancellationToken))
        {
            while (await reader.ReadAsync(cancellationToken))
                names.Add(reader.GetString(0));
        }

        var whole = new RowComparison(0, 0, 0, [], null);
        foreach (var name in names)
        {
            var table = await CompareAsync(name, left, right, cancellationToken);
            whole = new RowComparison(
                whole.Rows + table.Rows, whole.Lost + table.Lost, whole.Doubled + table.Doubled,
                table.Lost + table.Doubled > 0 ? [.. whole.Tables, name] : whole.Tables, whole.First ?? table.First);
        }

        return whole;
    }

    static async Task<RowComparison> CompareAsync(string table, NpgsqlConnection left, NpgsqlConnection right, CancellationToken cancellationToken)
    {
        // A table that the other side lacks has lost all it could.
        await using (var exists = new NpgsqlCommand("SELECT to_regclass($1) IS NOT NULL", right) { Parameters = { new() { Value = table } } })
        {
            if (await exists.ExecuteScalarAsync(cancellationToken) is not true)
                return new RowComparison(0, 1, 0, [], $"{table} is not at the target");
        }

        // The C collation sorts by bytes, which for the benchmark's ASCII is the ordinal order of the strings here.
        var sql = $"SELECT t::text FROM ONLY {table} AS t ORDER BY t::text COLLATE \"C\"";
        await using var leftCommand = new NpgsqlCommand(sql, left);
        await using var rightCommand = new NpgsqlCommand(sql, right);
        await using var leftRows = await leftCommand.ExecuteReaderAsync(cancellationToken);
        await using var rightRows = await rightCommand.ExecuteReaderAsync(cancellationToken);
        var (rows, lost, doubled) = (0L, 0L, 0L);
        string? first = null;
        var mine = await NextAsync(leftRows, cancellationToken);
        var theirs = await NextAsync(rightRows, cancellationToken);
        while (mine is not null || theirs is not null)
        {
            var order = mine is null ? 1 : theirs is null ? -1 : string.CompareOrdinal(mine, theirs);
            if (order != 0)
                first ??= $"{table}, only at the {(order < 0 ? "source" : "target")}: {(order < 0 ? mine : theirs)}";
            rows += order <= 0 ? 1 : 0;
            lost += order < 0 ? 1 : 0;
            doubled += order > 0 ? 1 : 0;
            if (order <= 0)
                mine = await NextAsync(leftRows, cancellationToken);
            if (order >= 0)
                theirs = await NextAsync(rightRows, cancellationToken);
        }

        return new RowComparison(rows, lost, doubled, [], first);
    }

    static async Task<string?> NextAsync(NpgsqlDataReader rows, CancellationToken cancellationToken) =>
        await rows.ReadAsync(cancellationToken) ? rows.GetString(0) : null;

    static async Task<NpgsqlConnection> OpenAsync(string connectionString, CancellationToken cancellationToken)
    {
        var connection = new NpgsqlConnection(connectionString);
        await connection.OpenAsync(cancellationToken);
        return connection;
    }
}
