using Npgsql;
using Tributary.Postgres;
using Tributary.Postgres.Programs;
using Tributary.Testing;

namespace Tributary.Branching.Tests;

/// <summary>A production with a table of accounts, followed by a manager on a pool of its own.</summary>
public sealed class BranchingFixture : IAsyncLifetime
{
    static readonly TimeSpan Deadline = TimeSpan.FromSeconds(90);

    ManagerRun? _run;

    public PostgresServer Production { get; private set; } = null!;

    public BranchManager Manager => _run!.Manager;

    /// <summary>Changes the options that the manager is opened with.</summary>
    public Func<BranchingOptions, BranchingOptions> Adjust { get; init; } = static options => options;

    /// <summary>Settings of production beside the fixture's own.</summary>
    public IReadOnlyList<string> ProductionSettings { get; init; } = [];

    public BranchingOptions Options { get; private set; } = null!;

    /// <summary>Production belongs to the fixture that was taken over.</summary>
    public bool IsGuest { get; init; }

    /// <summary>Readies production before it is followed, and answers the URL to follow it by; null for the superuser's.</summary>
    public Func<PostgresServer, Task<string>>? Prepare { get; init; }

    public static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        Production = await TestServers.StartAsync(["wal_level = logical", "archive_mode = on", "archive_command = 'true'", .. ProductionSettings]);
        await ExecuteAsync(Production.ConnectionString(), "CREATE DATABASE bank");
        await ExecuteAsync(Production.ConnectionString("bank"), """
            CREATE TABLE accounts (id int PRIMARY KEY, balance bigint NOT NULL);
            INSERT INTO accounts SELECT i, 1000 FROM generate_series(1, 1000) i;
            CREATE ROLE app LOGIN PASSWORD 'production-secret';
            """);
        Options = Adjust(new BranchingOptions
        {
            StateDirectory = TestFolder.New("state"),
            Source = Parse(Prepare is null ? Production.Url("bank") : await Prepare(Production)),
            Driver = Environment.GetEnvironmentVariable("TRIBUTARY_TEST_DRIVER") ?? "auto",
            PoolBytesMax = 4L << 30,
            SeedInterval = TimeSpan.FromSeconds(1),
            IdleTimeout = TimeSpan.FromHours(1),
            StartsAheadMax = 0,
        });
        await StartManagerAsync(Options);
    }

    public async Task StartManagerAsync(BranchingOptions options)
    {
        _run = await ManagerRun.StartAsync(options);
        await UntilAsync(() => Manager.Status.Seeds.Count > 0, () => $"no seed: {Manager.Status}");
    }

    /// <summary>Starts a manager on the state and the production of a fixture whose manager has been stopped.</summary>
    public async Task<BranchingFixture> TakeOverAsync(BranchingFixture other, Func<BranchingOptions, BranchingOptions>? adjust = null)
    {
        Production = other.Production;
        Options = adjust?.Invoke(other.Options) ?? other.Options;
        await StartManagerAsync(Options);
        return this;
    }

    /// <summary>Waits for a seed that holds all that production has committed; the commits are asynchronous, so what is flushed is not all.</summary>
    public async Task FreshSeedAsync()
    {
        var now = Lsn.Parse((string)(await ScalarAsync(Production.ConnectionString(), "SELECT pg_current_wal_insert_lsn()::text"))!);
        await UntilAsync(() => Manager.Status.Seeds[0].Lsn >= now, () => $"no seed at {now}: {Manager.Status}");
    }

    public async Task<Branch> CreateAsync(string name, BranchOrigin origin = BranchOrigin.Seed)
    {
        var created = await Manager.CreateAsync(new BranchRequest(BranchName.Parse(name), origin), Token);
        Assert.True(created.Succeeded, created.Error?.Message);
        return created.Value;
    }

    public async Task<ComputeLease> ConnectAsync(Branch branch)
    {
        var lease = await Manager.ConnectAsync(branch.Name, Token);
        Assert.True(lease.Succeeded, lease.Error?.Message);
        return lease.Value;
    }

    public static string ConnectionString(ComputeLease lease, string database = "bank", string user = "branch_owner") =>
        $"Host={Path.GetDirectoryName(lease.SocketPath)};Username={user};Database={database};Pooling=false;Include Error Detail=true";

    public static async Task ExecuteAsync(string connectionString, string sql)
    {
        await using var connection = new NpgsqlConnection(connectionString + ";Pooling=false");
        await connection.OpenAsync(Token);
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(Token);
    }

    public static async Task<object?> ScalarAsync(string connectionString, string sql)
    {
        await using var connection = new NpgsqlConnection(connectionString + ";Pooling=false");
        await connection.OpenAsync(Token);
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteScalarAsync(Token);
    }

    /// <summary>Kills a server's sandbox from outside: its outer process names the folder of its configuration among its arguments.</summary>
    public static void KillSandboxOf(string configuration)
    {
        foreach (var process in System.Diagnostics.Process.GetProcessesByName("bwrap"))
        {
            using (process)
            {
                if (CommandLine($"{process.Id}").Contains(configuration))
                    process.Kill();
            }
        }
    }

    /// <summary>The words that a process was started with; none when it has ended meanwhile.</summary>
    public static string[] CommandLine(string processId)
    {
        try
        {
            return File.ReadAllText($"/proc/{processId}/cmdline").Split('\0');
        }
        catch (IOException)
        {
            return [];
        }
    }

    public static Task UntilAsync(Func<bool> condition, Func<string> otherwise) => UntilAsync(() => Task.FromResult(condition()), otherwise);

    public static async Task UntilAsync(Func<Task<bool>> condition, Func<string> otherwise)
    {
        var started = TimeProvider.System.GetTimestamp();
        while (!await condition())
        {
            Assert.True(TimeProvider.System.GetElapsedTime(started) < Deadline, otherwise());
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, Token);
        }
    }

    /// <summary>Puts every branch without connections to sleep now.</summary>
    public Task StopIdleAsync() => Manager.StopIdleAsync(TimeSpan.Zero, Token);

    /// <summary>Stops the manager, but not production; the state stays.</summary>
    public async Task StopManagerAsync()
    {
        if (_run is not null)
            await _run.DisposeAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await StopManagerAsync();
        if (!IsGuest)
            await Production.DisposeAsync();
    }

    static PostgresUrl Parse(string url) => PostgresUrl.TryParse(url, out var parsed, out var error) ? parsed : throw new ArgumentException(error);
}
