using Npgsql;
using Tributary.Postgres;

namespace Tributary.Load.Decode;

/// <summary>
/// The log that is read: a table like pgbench's accounts; a quarter of the changes are inserts, a quarter deletes, the others updates. A third of the
/// rows is changed one row a transaction, a third ten, a third a hundred.
/// </summary>
static class MixedChanges
{
    public static long Rows => Writers * (long)CyclesEach * RowsInCycle;

    public const string Publication = "decoded";
    public const string BaseSlot = "decode_base";

    const int Writers = 2;
    const int RowsInCycle = 300;
    const int AccountsEach = 50_000;

    // Two million rows; fewer for a quick look.
    static readonly int CyclesEach = int.TryParse(Environment.GetEnvironmentVariable("TRIBUTARY_DECODE_CYCLES"), out var cycles) ? cycles : 3_334;

    const string Tables =
        """
        CREATE TABLE accounts (aid bigint PRIMARY KEY, bid int NOT NULL, abalance int NOT NULL, filler char(84) NOT NULL);
        CREATE PUBLICATION decoded FOR TABLE accounts;
        CREATE PROCEDURE change(writer int, cycles int, accounts_count int) LANGUAGE plpgsql AS $$
        DECLARE
            first bigint := writer * 1000000000::bigint;
            n bigint := 0;
            size int;
        BEGIN
            FOR cycle IN 1 .. cycles LOOP
                FOREACH size IN ARRAY ARRAY[1, 10, 100] LOOP
                    FOR transaction IN 1 .. 100 / size LOOP
                        FOR row IN 1 .. size LOOP
                            IF n % 4 = 0 THEN
                                INSERT INTO accounts VALUES (first + 1000000 + n, writer, 0, '');
                            ELSIF n % 4 = 3 THEN
                                DELETE FROM accounts WHERE aid = first + 1000000 + n - 3;
                            ELSE
                                UPDATE accounts SET abalance = abalance + row WHERE aid = first + (n * 7919) % accounts_count;
                            END IF;
                            n := n + 1;
                        END LOOP;
                        COMMIT;
                    END LOOP;
                END LOOP;
            END LOOP;
        END $$;
        """;

    /// <summary>Writes the changes behind a new slot; answers where the slot starts and where they end.</summary>
    public static async Task<(Lsn Start, Lsn End)> WriteAsync(string connectionString, CancellationToken cancellationToken)
    {
        await using var connection = new NpgsqlConnection(connectionString);
        await connection.OpenAsync(cancellationToken);
        await ScalarAsync(connection, Tables, cancellationToken);
        for (var writer = 0; writer < Writers; writer++)
        {
            await ScalarAsync(
                connection, $"INSERT INTO accounts SELECT {writer} * 1000000000::bigint + a, {writer}, 0, '' FROM generate_series(0, {AccountsEach - 1}) a", cancellationToken);
        }

        await ScalarAsync(connection, "VACUUM ANALYZE accounts", cancellationToken);
        var start = await ScalarAsync(connection, $"SELECT lsn::text FROM pg_create_logical_replication_slot('{BaseSlot}', 'pgoutput')", cancellationToken);
        await Task.WhenAll(Enumerable.Range(0, Writers).Select(writer => ChangeAsync(connectionString, writer, cancellationToken)));

        // Whoever reads to the first message's position has read all changes; the second lies behind it, so that both readers see the end go by.
        var end = await ScalarAsync(connection, "SELECT pg_logical_emit_message(false, 'end', '')::text", cancellationToken);
        await ScalarAsync(connection, "SELECT pg_logical_emit_message(true, 'behind the end', '')::text; CHECKPOINT", cancellationToken);
        return (Lsn.Parse(start!), Lsn.Parse(end!));
    }

    static async Task ChangeAsync(string connectionString, int writer, CancellationToken cancellationToken)
    {
        await using var connection = new NpgsqlConnection(connectionString + ";Command Timeout=0");
        await connection.OpenAsync(cancellationToken);
        await ScalarAsync(connection, $"CALL change({writer}, {CyclesEach}, {AccountsEach})", cancellationToken);
    }

    public static async Task<string?> ScalarAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 0 };
        return await command.ExecuteScalarAsync(cancellationToken) as string;
    }
}
