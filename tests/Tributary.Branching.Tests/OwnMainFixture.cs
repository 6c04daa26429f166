using Npgsql;
using Tributary.Postgres.Programs;
using Tributary.Testing;
using static Tributary.Branching.Tests.BranchingFixture;

namespace Tributary.Branching.Tests;

/// <summary>A manager whose main follows nothing, and dumps of a shop with roles, an index, a large object and a view, in every format.</summary>
public sealed class OwnMainFixture : IAsyncLifetime
{
    ManagerRun? _run;

    public string Dumps { get; } = TestFolder.New("dumps");

    public BranchManager Manager => _run!.Manager;

    public BranchingOptions Options { get; private set; } = new()
    {
        StateDirectory = TestFolder.New("state"),
        Following = FollowingMode.None,
        Driver = Environment.GetEnvironmentVariable("TRIBUTARY_TEST_DRIVER") ?? "auto",
        PoolBytesMax = 4L << 30,
        SeedInterval = TimeSpan.FromSeconds(1),
        IdleTimeout = TimeSpan.FromHours(1),
    };

    public Func<BranchingOptions, BranchingOptions> Adjust { get; init; } = static options => options;

    public async ValueTask InitializeAsync()
    {
        // The version that main is of unless a test says otherwise: an older one does not take a newer one's dumps.
        var shop = await TestServers.ForMajorAsync(PostgresInstallation.FindNewest().Major);
        var database = new NpgsqlConnectionStringBuilder(await shop.NewDatabaseAsync("shop")).Database!;
        await ExecuteAsync(shop.ConnectionString(database), """
            DO $$ BEGIN CREATE ROLE shop_owner; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
            DO $$ BEGIN CREATE ROLE "Shop Reader"; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
            CREATE TABLE orders (id int PRIMARY KEY, note text);
            INSERT INTO orders SELECT i, 'GRANT ALL ON x TO nobody_at_all;' FROM generate_series(1, 2000) i;
            CREATE VIEW notes AS SELECT note FROM orders;
            CREATE FUNCTION twice(x int) RETURNS int LANGUAGE sql AS 'SELECT 2 * x';
            ALTER TABLE orders OWNER TO shop_owner;
            GRANT SELECT ON notes TO "Shop Reader";
            SELECT lo_from_bytea(4711, 'large');
            """);
        foreach (var (format, file, more) in new[] { ("plain", "shop.sql", "--no-owner --no-privileges"), ("plain", "owned.sql", ""), ("custom", "shop.dump", ""), ("tar", "shop.tar", ""), ("directory", "shop.dir", ""), ("plain", "created.sql", "--create") })
            await DumpAsync(shop, "pg_dump", [$"--format={format}", "--file", Path.Combine(Dumps, file), .. more.Split(' ', StringSplitOptions.RemoveEmptyEntries), database]);
        Options = Adjust(Options);
        await StartAsync();
    }

    public string Dump(string name) => Path.Combine(Dumps, name);

    public async Task StartAsync()
    {
        _run = await ManagerRun.StartAsync(Options);
        await UntilAsync(() => Manager.Status is { Phase: BranchingPhase.Serving, Seeds.Count: > 0 }, () => $"no seed: {Manager.Status}");
    }

    public async Task StopAsync()
    {
        // One that could not be started has said why.
        if (_run is not null)
            await _run.DisposeAsync();
    }

    public Task<BranchResult<ImportReport>> ImportAsync(string file, string? database = null, bool createsRoles = false, Action<ImportProgress>? onProgress = null) =>
        Manager.ImportAsync(new ImportRequest(Dump(file)) { Database = database, CreatesRoles = createsRoles }, onProgress ?? (static _ => { }), Token);

    public async Task<Branch> CreateAsync(string name, BranchOrigin origin = BranchOrigin.Now)
    {
        var created = await Manager.CreateAsync(new BranchRequest(BranchName.Parse(name), origin), Token);
        Assert.True(created.Succeeded, created.Error?.Message);
        return created.Value;
    }

    /// <summary>Asks a branch one thing.</summary>
    public async Task<object?> AskAsync(Branch branch, string database, string sql)
    {
        var lease = await Manager.ConnectAsync(branch.Name, Token);
        Assert.True(lease.Succeeded, lease.Error?.Message);
        await using (lease.Value)
            return await ScalarAsync(ConnectionString(lease.Value, database), sql);
    }

    public async ValueTask DisposeAsync() => await StopAsync();

    static async Task DumpAsync(PostgresServer server, string program, string[] arguments) => (await ChildProcesses.RunAsync(
        new ChildProcessSpec(server.Installation.ClientProgram(program), arguments)
        {
            Environment = new Dictionary<string, string> { ["PGHOST"] = "127.0.0.1", ["PGPORT"] = $"{server.Port}", ["PGUSER"] = "postgres" },
        }, Token)).EnsureSucceeded(program);
}
