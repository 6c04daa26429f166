using System.Globalization;
using Npgsql;

namespace Tributary.Load.Apply;

/// <summary>What is replicated: a table of pgbench's shape and one of texts, documents and times, each changed half of the time.</summary>
static class BacklogTables
{
    const int FirstRows = 100_000;

    public const string Tables = """
        CREATE TABLE accounts (aid int PRIMARY KEY, bid int, abalance int, filler char(84));
        CREATE TABLE documents (id bigint PRIMARY KEY, title text, body jsonb, at timestamptz);
        CREATE TABLE done (size int PRIMARY KEY);
        """;

    public static string Rows => string.Create(CultureInfo.InvariantCulture, $$"""
        INSERT INTO accounts SELECT i, i % 10, 0, 'first' FROM generate_series(1, {{FirstRows}}) i;
        INSERT INTO documents SELECT i, 'title ' || i, jsonb_build_object('n', i, 'tags', array['a', 'b']), '2026-01-01'::timestamptz + i * interval '1 s' FROM generate_series(1, {{FirstRows}}) i;
        """);

    /// <summary>
    /// Half inserts, four tenths updates of a random row, one tenth deletes of the oldest row. The last transaction marks the end in <c>done</c>.
    /// </summary>
    public static string Backlog(int changes, int rowsInTransaction) => string.Create(CultureInfo.InvariantCulture, $$"""
        DO $$
        DECLARE newest int[] := array[{{FirstRows}}, {{FirstRows}}]; oldest int[] := array[1, 1]; kind float8; t int; row int;
        BEGIN
            PERFORM setseed(0.5);
            FOR i IN 1 .. {{changes / rowsInTransaction}} LOOP
                FOR k IN 1 .. {{rowsInTransaction}} LOOP
                    kind := random();
                    t := 1 + (i + k) % 2;
                    row := oldest[t] + floor(random() * (newest[t] - oldest[t]))::int;
                    IF kind < 0.5 THEN
                        newest[t] := newest[t] + 1;
                        IF t = 1 THEN INSERT INTO accounts VALUES (newest[t], i % 10, k, 'filler of a row');
                        ELSE INSERT INTO documents VALUES (newest[t], 'title ' || i, jsonb_build_object('n', i, 'tags', array['x', 'y']), now()); END IF;
                    ELSIF kind < 0.9 THEN
                        IF t = 1 THEN UPDATE accounts SET abalance = abalance + k WHERE aid = row;
                        ELSE UPDATE documents SET title = 'title again ' || i, at = now() WHERE id = row; END IF;
                    ELSE
                        IF t = 1 THEN DELETE FROM accounts WHERE aid = oldest[t];
                        ELSE DELETE FROM documents WHERE id = oldest[t]; END IF;
                        oldest[t] := oldest[t] + 1;
                    END IF;
                END LOOP;
                COMMIT;
            END LOOP;
            INSERT INTO done VALUES ({{rowsInTransaction}});
        END $$
        """);

    public const string Sums = "SELECT (SELECT md5(string_agg(a::text, ',' ORDER BY aid)) FROM accounts a) || (SELECT md5(string_agg(d::text, ',' ORDER BY id)) FROM documents d)";

    public static async Task ExecuteAsync(string connectionString, string sql, CancellationToken cancellationToken)
    {
        await using var connection = new NpgsqlConnection(connectionString + ";Command Timeout=0;Pooling=false;Options=-c synchronous_commit=off");
        await connection.OpenAsync(cancellationToken);
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    public static async Task<object?> ScalarAsync(string connectionString, string sql, CancellationToken cancellationToken)
    {
        await using var connection = new NpgsqlConnection(connectionString + ";Command Timeout=0");
        await connection.OpenAsync(cancellationToken);
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteScalarAsync(cancellationToken);
    }

    public static async Task<IReadOnlyList<int>> IntegersAsync(string connectionString, string sql, CancellationToken cancellationToken) =>
        (int[])(await ScalarAsync(connectionString, $"SELECT COALESCE(array_agg(n), '{{}}') FROM ({sql}) AS found (n)", cancellationToken))!;
}
