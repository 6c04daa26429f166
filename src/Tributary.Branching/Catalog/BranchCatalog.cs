using System.Globalization;
using Microsoft.Data.Sqlite;
using Tributary.Postgres;

namespace Tributary.Branching.Catalog;

/// <summary>
/// The durable record of branches, seeds and main, in one SQLite file. Each method is one transaction that is on disk when it returns,
/// so that the reconciler finds after a crash what a saga had reached. All calls share one connection behind one lock.
/// </summary>
internal sealed class BranchCatalog : IDisposable
{
    const string Schema = """
        CREATE TABLE IF NOT EXISTS facts (key TEXT PRIMARY KEY, value TEXT NOT NULL);
        CREATE TABLE IF NOT EXISTS seeds (
            id TEXT PRIMARY KEY, state TEXT NOT NULL, lsn TEXT NOT NULL, data_time TEXT NOT NULL);
        CREATE TABLE IF NOT EXISTS branches (
            id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, state TEXT NOT NULL, seed_id TEXT NOT NULL,
            lsn TEXT NOT NULL, data_time TEXT NOT NULL, created_at TEXT NOT NULL, generation INTEGER NOT NULL DEFAULT 1,
            idempotency_key TEXT UNIQUE, origin TEXT NOT NULL DEFAULT 'Seed', details TEXT NOT NULL DEFAULT '{}');
        """;

    const string Columns = "id, name, state, seed_id, lsn, data_time, created_at, generation, origin, details";

    readonly SqliteConnection _connection;
    readonly Lock _lock = new();

    BranchCatalog(SqliteConnection connection) => _connection = connection;

    /// <exception cref="SqliteException">The file is no catalog, or is damaged.</exception>
    public static BranchCatalog Open(string file)
    {
        // Made before SQLite opens it, since the log files beside it take over its mode.
        if (!File.Exists(file))
        {
            using var made = new FileStream(file, new FileStreamOptions
            {
                Mode = FileMode.CreateNew,
                Access = FileAccess.Write,
                UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
            });
        }

        var connection = new SqliteConnection($"Data Source={file};Pooling=False");
        connection.Open();
        var catalog = new BranchCatalog(connection);
        catalog.Execute("PRAGMA journal_mode=WAL");
        catalog.Execute("PRAGMA synchronous=FULL");
        catalog.Execute(Schema);
        catalog.Upgrade();
        return catalog;
    }

    public string? Fact(string key) => Query("SELECT value FROM facts WHERE key = $1", row => row.GetString(0), key).FirstOrDefault();

    public void SetFact(string key, string value) =>
        Execute("INSERT INTO facts VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value", key, value);

    public IReadOnlyList<Branch> Branches() => Query($"SELECT {Columns} FROM branches ORDER BY id", ReadBranch);

    /// <summary>Takes a name and a number for a branch that is about to be made. The caller has checked that the name is free.</summary>
    public Branch Reserve(BranchRequest request, DateTimeOffset createdAt)
    {
        var branch = new Branch(0, request.Name, "", BranchState.Creating, default, createdAt, createdAt, 1) { Origin = request.Origin, Policy = request.Policy };
        var id = Query(
            "INSERT INTO branches (name, state, seed_id, lsn, data_time, created_at, origin, idempotency_key) VALUES ($1, $2, '', '0/0', $3, $3, $4, $5) RETURNING id",
            row => row.GetInt64(0), request.Name.ToString(), branch.State.ToString(), Text(createdAt), request.Origin.ToString(), request.IdempotencyKey ?? (object)DBNull.Value)[0];
        return branch with { Id = id, Number = id };
    }

    /// <summary>A number that no branch has had or will get, for a spare that may become one.</summary>
    // AUTOINCREMENT never gives a number twice, also after the row is gone (https://www.sqlite.org/autoinc.html).
    public long NextNumber()
    {
        var taken = Query(
            "INSERT INTO branches (name, state, seed_id, lsn, data_time, created_at) VALUES ($1, 'Deleting', '', '0/0', $2, $2) RETURNING id",
            row => row.GetInt64(0), $" {Guid.NewGuid():N}", Text(DateTimeOffset.UnixEpoch))[0];
        Remove(taken);
        return taken;
    }

    /// <summary>Puts what the branch is now in the place of what its row said.</summary>
    public void Save(Branch branch) => Execute(
        """
        UPDATE branches SET name = $1, state = $2, seed_id = $3, lsn = $4, data_time = $5, created_at = $6, generation = $7, origin = $8, details = $9,
            idempotency_key = CASE WHEN $2 IN ('Creating', 'Ready') THEN idempotency_key END
        WHERE id = $10
        """,
        NameColumn(branch), branch.State.ToString(), branch.SeedId, branch.Lsn.ToString(), Text(branch.DataTime), Text(branch.CreatedAt), branch.Generation,
        branch.Origin.ToString(), BranchDetails.Write(branch), branch.Id);

    /// <summary>The branch that a request with this key made; null when there was none, or the branch has been removed.</summary>
    public long? BranchOfKey(string idempotencyKey) =>
        Query<long?>("SELECT id FROM branches WHERE idempotency_key = $1", row => row.GetInt64(0), idempotencyKey).FirstOrDefault();

    public void Remove(long id) => Execute("DELETE FROM branches WHERE id = $1", id);

    /// <summary>Seeds that are complete, newest first.</summary>
    public IReadOnlyList<SeedStatus> Seeds() => Query(
        "SELECT id, lsn, data_time FROM seeds WHERE state = 'Ready' ORDER BY id DESC",
        row => new SeedStatus(row.GetString(0), Lsn.Parse(row.GetString(1)), Time(row.GetString(2))));

    public void AddSeed(SeedStatus seed) =>
        Execute("INSERT OR REPLACE INTO seeds VALUES ($1, 'Ready', $2, $3)", seed.Id, seed.Lsn.ToString(), Text(seed.DataTime));

    public void RemoveSeed(string id) => Execute("DELETE FROM seeds WHERE id = $1", id);

    public void Dispose() => _connection.Dispose();

    static Branch ReadBranch(SqliteDataReader row) => BranchDetails.Read(
        new Branch(
            row.GetInt64(0), BranchName.Parse(row.GetString(1).Split(' ')[0]), row.GetString(3), Enum.Parse<BranchState>(row.GetString(2)),
            Lsn.Parse(row.GetString(4)), Time(row.GetString(5)), Time(row.GetString(6)), row.GetInt32(7))
        {
            Origin = Enum.Parse<BranchOrigin>(row.GetString(8)),
        },
        row.GetString(9));

    // The name of a deleted branch is free for another one, while the column takes each once; no name has a space in it.
    static string NameColumn(Branch branch) => branch.State is BranchState.Creating or BranchState.Ready
        ? branch.Name.ToString()
        : string.Create(CultureInfo.InvariantCulture, $"{branch.Name} {branch.Id}");

    static string Text(DateTimeOffset time) => time.UtcDateTime.ToString("O", CultureInfo.InvariantCulture);

    static DateTimeOffset Time(string text) => DateTimeOffset.Parse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal);

    // A catalog of an earlier version lacks columns that came later; each has a default that is true of the branches of that time.
    void Upgrade()
    {
        var columns = Query("SELECT name FROM pragma_table_info('branches')", row => row.GetString(0));
        if (!columns.Contains("origin"))
            Execute("ALTER TABLE branches ADD COLUMN origin TEXT NOT NULL DEFAULT 'Seed'");
        if (!columns.Contains("details"))
            Execute("ALTER TABLE branches ADD COLUMN details TEXT NOT NULL DEFAULT '{}'");
    }

    void Execute(string sql, params object[] values) => Query(sql, _ => 0, values);

    List<T> Query<T>(string sql, Func<SqliteDataReader, T> read, params object[] values)
    {
        lock (_lock)
        {
            using var command = _connection.CreateCommand();
            command.CommandText = sql;
            for (var i = 0; i < values.Length; i++)
                command.Parameters.AddWithValue($"${i + 1}", values[i]);
            using var reader = command.ExecuteReader();
            var rows = new List<T>();
            while (reader.Read())
                rows.Add(read(reader));
            return rows;
        }
    }
}
