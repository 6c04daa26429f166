using System.Globalization;
using System.Text;
using Npgsql;

namespace Tributary.Load.Kill;

/// <summary>
/// Writers whose transactions keep invariants that a reader of a copy can check at any moment: money is moved and never made, lists grow at
/// their end without a gap, every seat is taken once, a large value matches its version. Most of them touch several tables, some undo a part, and some change a table's shape on request.
/// </summary>
sealed class KillWorkload : IAsyncDisposable
{
    const int Accounts = 100;
    const int Lists = 8;
    const int Seats = 40;
    const int Docs = 20;

    public const string Schema =
        """
        CREATE TABLE account (id int PRIMARY KEY, balance bigint NOT NULL);
        CREATE TABLE movement (id bigserial PRIMARY KEY, account int NOT NULL REFERENCES account, amount int NOT NULL);
        CREATE TABLE list (id int PRIMARY KEY, length int NOT NULL);
        CREATE TABLE entry (list int REFERENCES list, place int, body text, PRIMARY KEY (list, place));
        CREATE TABLE seat (person int PRIMARY KEY, number int NOT NULL UNIQUE);
        CREATE TABLE doc (id int PRIMARY KEY, version int NOT NULL, note text, body text);
        ALTER TABLE doc ALTER body SET STORAGE EXTERNAL;
        CREATE TABLE line (words text);
        CREATE TABLE marker (id int PRIMARY KEY, n bigint NOT NULL);
        INSERT INTO account SELECT i, 1000 FROM generate_series(1, 100) i;
        INSERT INTO list SELECT i, 0 FROM generate_series(1, 8) i;
        INSERT INTO seat SELECT i, i FROM generate_series(1, 40) i;
        INSERT INTO doc SELECT i, 0, NULL, repeat(md5(i || '-0'), 200) FROM generate_series(1, 20) i;
        INSERT INTO marker VALUES (1, 0);
        """;

    /// <summary>Empties what grows, so that a long run's checks stay quick; a truncation is also one more thing to carry.</summary>
    public const string Reset =
        "BEGIN; TRUNCATE movement, entry, line; UPDATE account SET balance = 1000 WHERE balance <> 1000; UPDATE list SET length = 0; COMMIT";

    /// <summary>One row: the names of the invariants that the snapshot breaks, or an empty text.</summary>
    public const string Broken =
        """
        SELECT concat_ws(', ',
            CASE WHEN (SELECT sum(balance) FROM account) <> 100000 THEN 'the sum of the balances' END,
            CASE WHEN EXISTS (SELECT FROM account a LEFT JOIN (SELECT account, sum(amount) AS sum FROM movement GROUP BY account) m ON m.account = a.id
                WHERE a.balance <> 1000 + COALESCE(m.sum, 0)) THEN 'a balance and its movements' END,
            CASE WHEN EXISTS (SELECT FROM list l LEFT JOIN (SELECT list, count(*) AS count, max(place) AS last FROM entry GROUP BY list) e ON e.list = l.id
                WHERE l.length <> COALESCE(e.count, 0) OR l.length <> COALESCE(e.last, 0)) THEN 'the order of a list' END,
            CASE WHEN (SELECT sum(number) FILTER (WHERE number BETWEEN 1 AND 40) FROM seat) <> 820 THEN 'the seats' END,
            CASE WHEN EXISTS (SELECT FROM doc WHERE body <> repeat(md5(id || '-' || version), 200)) THEN 'a large value and its version' END,
            CASE WHEN (SELECT count(*) % 2 FROM line) <> 0 THEN 'the pairs of lines' END)
        """;

    // What writers that lock in any order, and that change the schema beside each other, are answered; "tuple concurrently updated" has no code of its own.
    static readonly HashSet<string> Races =
    [
        PostgresErrorCodes.DeadlockDetected, PostgresErrorCodes.UniqueViolation, PostgresErrorCodes.DuplicateTable, PostgresErrorCodes.DuplicateColumn,
        PostgresErrorCodes.UndefinedTable, PostgresErrorCodes.InternalError,
    ];

    // The pause leaves the processor to those under test.
    static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(2);

    readonly CancellationTokenSource _stop = new();
    readonly Task _writers;
    long _transactions;

    KillWorkload(string source, int writers, int seed, bool reshapes) =>
        _writers = Task.WhenAll(Enumerable.Range(0, writers).Select(writer => WriteAsync(source, writer, new Random(seed + writer), reshapes)));

    public long Transactions => Interlocked.Read(ref _transactions);

    /// <param name="reshapes">Whether one transaction in twenty also changes the schema.</param>
    public static KillWorkload Start(string source, int writers, int seed, bool reshapes = false) => new(source, writers, seed, reshapes);

    /// <summary>Ends the writers between two transactions.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _writers;
        _stop.Dispose();
    }

    async Task WriteAsync(string source, int writer, Random random, bool reshapes)
    {
        await using var connection = new NpgsqlConnection(source);
        await connection.OpenAsync();
        for (var count = 0; !_stop.IsCancellationRequested; count++)
        {
            try
            {
                await using var command = new NpgsqlCommand(Transaction(writer, count, random, reshapes), connection);
                await command.ExecuteNonQueryAsync();
                Interlocked.Increment(ref _transactions);
            }
            catch (PostgresException exception) when (Races.Contains(exception.SqlState))
            {
                await using var undo = new NpgsqlCommand("ROLLBACK", connection);
                await undo.ExecuteNonQueryAsync();
            }

            await Task.Delay(Pause, TimeProvider.System);
        }
    }

    static string Transaction(int writer, int count, Random random, bool reshapes)
    {
        var sql = new StringBuilder("BEGIN;");
        if (reshapes && random.Next(20) == 0)
            Reshape(sql, random);
        if (random.Next(4) == 0)
        {
            // What is undone must not be seen, and what follows it must.
            sql.Append("SAVEPOINT part;");
            Transfer(sql, random);
            Append(sql, random);
            sql.Append("ROLLBACK TO part;");
        }

        var parts = random.Next(1, 16);
        if ((parts & 1) != 0)
            Transfer(sql, random);
        if ((parts & 2) != 0)
        {
            for (var entries = random.Next(1, 20); entries > 0; entries--)
                Append(sql, random);
        }

        if ((parts & 4) != 0)
            Swap(sql, random);
        if ((parts & 8) != 0)
            Edit(sql, random);
        sql.Append(CultureInfo.InvariantCulture, $"INSERT INTO line VALUES ('{writer}-{count % 50}'), ('{writer}-{count % 50}');");
        return sql.Append("COMMIT").ToString();
    }

    // One table a transaction: the watch reads several, and would wait for a second one in a circle with the stream.
    static void Reshape(StringBuilder sql, Random random) => sql.Append(random.Next(4) switch
    {
        0 => $"ALTER TABLE line DROP COLUMN IF EXISTS tag; ALTER TABLE line ADD COLUMN tag int DEFAULT {random.Next(100).ToString(CultureInfo.InvariantCulture)};",
        1 => "ALTER TABLE line DROP COLUMN IF EXISTS tag;",
        2 => $"ALTER TABLE movement ALTER amount TYPE {(random.Next(2) == 0 ? "bigint" : "int")};",
        _ => "DROP TABLE IF EXISTS extra; CREATE TABLE extra AS SELECT * FROM line; INSERT INTO extra SELECT * FROM extra LIMIT 3;",
    });

    static void Transfer(StringBuilder sql, Random random)
    {
        var from = random.Next(1, Accounts);
        var to = random.Next(from + 1, Accounts + 1);
        var amount = random.Next(1, 50);
        sql.Append(CultureInfo.InvariantCulture, $"UPDATE account SET balance = balance - {amount} WHERE id = {from};")
            .Append(CultureInfo.InvariantCulture, $"UPDATE account SET balance = balance + {amount} WHERE id = {to};")
            .Append(CultureInfo.InvariantCulture, $"INSERT INTO movement (account, amount) VALUES ({from}, {-amount}), ({to}, {amount});");
    }

    static void Append(StringBuilder sql, Random random)
    {
        var list = random.Next(1, Lists + 1);
        sql.Append(CultureInfo.InvariantCulture, $"UPDATE list SET length = length + 1 WHERE id = {list};")
            .Append(CultureInfo.InvariantCulture, $"INSERT INTO entry SELECT {list}, length, repeat('e', {random.Next(100)}) FROM list WHERE id = {list};");
    }

    static void Swap(StringBuilder sql, Random random)
    {
        var pair = $"({random.Next(1, Seats / 2)}, {random.Next(Seats / 2, Seats + 1)})";
        sql.Append(CultureInfo.InvariantCulture, $"UPDATE seat SET number = -number WHERE person IN {pair};")
            .Append(CultureInfo.InvariantCulture, $"UPDATE seat s SET number = -o.number FROM seat o WHERE s.person IN {pair} AND o.person IN {pair} AND s.person <> o.person;");
    }

    static void Edit(StringBuilder sql, Random random)
    {
        var doc = random.Next(1, Docs + 1);
        if (random.Next(3) == 0)
            sql.Append(CultureInfo.InvariantCulture, $"UPDATE doc SET version = version + 1, body = repeat(md5(id || '-' || version + 1), 200) WHERE id = {doc};");
        else
            sql.Append(CultureInfo.InvariantCulture, $"UPDATE doc SET note = repeat('n', {random.Next(60)}) WHERE id = {doc};");
    }
}
