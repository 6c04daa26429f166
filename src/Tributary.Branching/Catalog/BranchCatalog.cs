using System.Globalization;
using System.Text.Json;
using Microsoft.Data.Sqlite;
using Tributary.Postgres;

namespace Tributary.Branching.Catalog;

/// <summary>
/// The durable record of branches, seeds and main, in one SQLite file. Each method is one transaction that is on disk when it returns,
/// so that the reconciler finds after a crash what a saga had reached; then the row goes into <see cref="CatalogRecords"/> too. All calls share
/// one connection behind one lock.
/// </summary>
internal sealed class BranchCatalog : IDisposable
{
    const string Schema = """
        CREATE TABLE IF NOT EXISTS facts (key TEXT PRIMARY KEY, value TEXT NOT NULL);
        CREATE TABLE IF NOT EXISTS seeds (
            id TEXT PRIMARY KEY, state TEXT NOT NULL, lsn TEXT NOT NULL, data_time TEXT NOT NULL);
        CREATE TABLE IF NOT EXISTS bases (id TEXT PRIMARY KEY, log_from TEXT NOT NULL, lsn TEXT NOT NULL, data_time TEXT NOT NULL);
        CREATE TABLE IF NOT EXISTS branches (
            id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, state TEXT NOT NULL, seed_id TEXT NOT NULL,
            lsn TEXT NOT NULL, data_time TEXT NOT NULL, created_at TEXT NOT NULL, generation INTEGER NOT NULL DEFAULT 1,
            idempotency_key TEXT UNIQUE, origin TEXT NOT NULL DEFAULT 'Seed', details TEXT NOT NULL DEFAULT '{}');
        """;

    const string Columns = "id, name, state, seed_id, lsn, data_time, created_at, generation, idempotency_key, origin, details";

    /// <summary>Result codes of SQLite (https://www.sqlite.org/rescode.html): the file has lost its form, or never had it.</summary>
    const int Corrupt = 11, NotADatabase = 26;

    readonly SqliteConnection _connection;
    readonly Lock _lock = new();
    CatalogRecords? _records;

    BranchCatalog(SqliteConnection connection) => _connection = connection;

    /// <exception cref="BranchingException">The file is no catalog, or is damaged; nothing has been changed then.</exception>
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

        var catalog = new BranchCatalog(new SqliteConnection($"Data Source={file};Pooling=False"));
        try
        {
            catalog._connection.Open();
            if (catalog.Query("PRAGMA quick_check(1)", row => row.GetString(0)) is not ["ok"])
                throw Unusable($"The catalog {file} is damaged.");
            catalog.Execute("PRAGMA journal_mode=WAL");
            catalog.Execute("PRAGMA synchronous=FULL");
            catalog.Execute(Schema);
            catalog.Upgrade();
            return catalog;
        }
        catch (SqliteException exception) when (exception.SqliteErrorCode is Corrupt or NotADatabase)
        {
            catalog.Dispose();
            throw Unusable($"The catalog {file} is damaged ({exception.Message.TrimEnd('.')}).");
        }
        catch
        {
            catalog.Dispose();
            throw;
        }
    }

    /// <summary>Writes a whole catalog into a file that is not there yet.</summary>
    public static void Write(string file, CatalogContents contents)
    {
        using var catalog = Open(file);
        foreach (var (key, value) in contents.Facts.Facts)
            catalog.SetFact(key, value);
        foreach (var seed in contents.Seeds)
            catalog.AddSeed(seed.ToSeed());
        foreach (var image in contents.Bases)
            catalog.AddBase(image.ToBase());
        foreach (var branch in contents.Branches)
        {
            catalog.Execute(
                $"INSERT INTO branches ({Columns}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
                branch.Id, branch.Name, branch.State, branch.SeedId, branch.Lsn, branch.DataTime, branch.CreatedAt, branch.Generation,
                branch.IdempotencyKey ?? (object)DBNull.Value, branch.Origin, branch.Details.GetRawText());
        }

        // The table of sequences is SQLite's own, and may be written (https://www.sqlite.org/autoinc.html).
        catalog.Execute("DELETE FROM sqlite_sequence WHERE name = 'branches'");
        catalog.Execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('branches', $1)", contents.Facts.Sequence);
        // No log beside the file, so that a rename takes all of it.
        catalog.Execute("PRAGMA journal_mode=DELETE");
    }

    /// <summary>From here on every change is in the records too, which become what the catalog is now.</summary>
    /// <exception cref="BranchingException">The records know more than the catalog: it has been lost, or taken from an older copy.</exception>
    public void Attach(CatalogRecords records)
    {
        lock (_lock)
        {
            if (WhyNot(records) is { } why)
                throw Unusable($"The catalog {_connection.DataSource} {why}.");
            _records = records;
            records.Replace(new CatalogContents(FactsRow(), [.. Seeds().Select(SeedRow.Of)], [.. Bases().Select(BaseRow.Of)], BranchRows()));
        }
    }

    /// <summary>Why the records tell of more than this catalog knows; null when they do not.</summary>
    public string? WhyNot(CatalogRecords records)
    {
        var facts = FactsRow();
        return facts.Facts.Count == 0 && records.Any ? "is missing or empty, while the pool holds branches"
            : records.Sequence > facts.Sequence ? "is older than the pool"
            : null;
    }

    public string? Fact(string key) => Query("SELECT value FROM facts WHERE key = $1", row => row.GetString(0), key).FirstOrDefault();

    public void SetFact(string key, string value) => Change(
        "INSERT INTO facts VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value", [key, value],
        records => records.Put(FactsRow()));

    public IReadOnlyList<Branch> Branches() => [.. BranchRows().Select(row => row.ToBranch())];

    /// <summary>Takes a name and a number for a branch that is about to be made. The caller has checked that the name is free.</summary>
    public Branch Reserve(BranchRequest request, DateTimeOffset createdAt)
    {
        var branch = new Branch(0, request.Name, "", BranchState.Creating, default, createdAt, createdAt, 1) { Origin = request.Origin, Policy = request.Policy };
        lock (_lock)
        {
            var id = Query(
                "INSERT INTO branches (name, state, seed_id, lsn, data_time, created_at, origin, idempotency_key) VALUES ($1, $2, '', '0/0', $3, $3, $4, $5) RETURNING id",
                row => row.GetInt64(0), request.Name.ToString(), branch.State.ToString(), CatalogTime.Text(createdAt), request.Origin.ToString(), request.IdempotencyKey ?? (object)DBNull.Value)[0];
            _records?.Put(FactsRow());
            PutBranch(id);
            return branch with { Id = id, Number = id };
        }
    }

    /// <summary>A number that no branch has had or will get, for a spare that may become one.</summary>
    // AUTOINCREMENT never gives a number twice, also after the row is gone (https://www.sqlite.org/autoinc.html).
    public long NextNumber()
    {
        lock (_lock)
        {
            // One transaction: a row without a name that a crash leaves would be a branch to nobody, and in the way of every start.
            using var transaction = _connection.BeginTransaction();
            var taken = Query(
                "INSERT INTO branches (name, state, seed_id, lsn, data_time, created_at) VALUES ($1, 'Deleting', '', '0/0', $2, $2) RETURNING id",
                row => row.GetInt64(0), $" {Guid.NewGuid():N}", CatalogTime.Text(DateTimeOffset.UnixEpoch))[0];
            Execute("DELETE FROM branches WHERE id = $1", taken);
            transaction.Commit();
            _records?.Put(FactsRow());
            return taken;
        }
    }

    /// <summary>Puts what the branch is now in the place of what its row said.</summary>
    public void Save(Branch branch) => Change(
        """
        UPDATE branches SET name = $1, state = $2, seed_id = $3, lsn = $4, data_time = $5, created_at = $6, generation = $7, origin = $8, details = $9,
            idempotency_key = CASE WHEN $2 IN ('Creating', 'Ready') THEN idempotency_key END
        WHERE id = $10
        """,
        [
            NameColumn(branch), branch.State.ToString(), branch.SeedId, branch.Lsn.ToString(), CatalogTime.Text(branch.DataTime), CatalogTime.Text(branch.CreatedAt),
            branch.Generation, branch.Origin.ToString(), BranchDetails.Write(branch), branch.Id,
        ],
        _ => PutBranch(branch.Id));

    /// <summary>The branch that a request with this key made; null when there was none, or the branch has been removed.</summary>
    public long? BranchOfKey(string idempotencyKey) =>
        Query<long?>("SELECT id FROM branches WHERE idempotency_key = $1", row => row.GetInt64(0), idempotencyKey).FirstOrDefault();

    public void Remove(long id) => Change("DELETE FROM branches WHERE id = $1", [id], records => records.RemoveBranch(id));

    /// <summary>Seeds that are complete, newest first.</summary>
    public IReadOnlyList<SeedStatus> Seeds() => Query(
        "SELECT id, lsn, data_time FROM seeds WHERE state = 'Ready' ORDER BY id DESC",
        row => new SeedStatus(row.GetString(0), Lsn.Parse(row.GetString(1)), CatalogTime.Parse(row.GetString(2))));

    public void AddSeed(SeedStatus seed) => Change(
        "INSERT OR REPLACE INTO seeds VALUES ($1, 'Ready', $2, $3)", [seed.Id, seed.Lsn.ToString(), CatalogTime.Text(seed.DataTime)],
        records => records.Put(SeedRow.Of(seed)));

    public void RemoveSeed(string id) => Change("DELETE FROM seeds WHERE id = $1", [id], records => records.RemoveSeed(id));

    /// <summary>Base images that are complete.</summary>
    public IReadOnlyList<BaseImage> Bases() => Query(
        "SELECT id, log_from, lsn, data_time FROM bases ORDER BY id",
        row => new BaseImage(row.GetString(0), Lsn.Parse(row.GetString(1)), Lsn.Parse(row.GetString(2)), CatalogTime.Parse(row.GetString(3))));

    public void AddBase(BaseImage image) => Change(
        "INSERT OR REPLACE INTO bases VALUES ($1, $2, $3, $4)",
        [image.Id, image.LogFrom.ToString(), image.Lsn.ToString(), CatalogTime.Text(image.DataTime)], records => records.Put(BaseRow.Of(image)));

    public void RemoveBase(string id) => Change("DELETE FROM bases WHERE id = $1", [id], records => records.RemoveBase(id));

    public void Dispose() => _connection.Dispose();

    static BranchRow ReadBranch(SqliteDataReader row) => new(
        row.GetInt64(0), row.GetString(1), row.GetString(2), row.GetString(3), row.GetString(4), row.GetString(5), row.GetString(6), row.GetInt32(7),
        row.IsDBNull(8) ? null : row.GetString(8), row.GetString(9), JsonElement.Parse(row.GetString(10)));

    static BranchingException Unusable(string what) => new(new BranchError(
        BranchErrorKind.CatalogDamaged, $"{what} Nothing was changed. With the server stopped, this rebuilds it from the pool: tributary doctor --repair"));

    // The name of a deleted branch is free for another one, while the column takes each once; no name has a space in it.
    static string NameColumn(Branch branch) => branch.State is BranchState.Creating or BranchState.Ready
        ? branch.Name.ToString()
        : string.Create(CultureInfo.InvariantCulture, $"{branch.Name} {branch.Id}");

    List<BranchRow> BranchRows() => Query($"SELECT {Columns} FROM branches ORDER BY id", ReadBranch);

    FactsRow FactsRow() => new(
        Query("SELECT key, value FROM facts ORDER BY key", row => (Key: row.GetString(0), Value: row.GetString(1))).ToDictionary(fact => fact.Key, fact => fact.Value),
        Query("SELECT seq FROM sqlite_sequence WHERE name = 'branches'", row => row.GetInt64(0)).FirstOrDefault());

    // The row as it is, since a column may be kept that the change did not name.
    void PutBranch(long id)
    {
        if (_records is not null && Query($"SELECT {Columns} FROM branches WHERE id = $1", ReadBranch, id) is [var row])
            _records.Put(row);
    }

    void Change(string sql, object[] values, Action<CatalogRecords> record)
    {
        lock (_lock)
        {
            Execute(sql, values);
            if (_records is { } records)
                record(records);
        }
    }

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
