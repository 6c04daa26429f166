using Tributary.Postgres.Programs;
using Tributary.Testing;
using static Tributary.Branching.Tests.BranchingFixture;

namespace Tributary.Branching.Tests;

/// <summary>A production that is dangerous to copy: it archives, subscribes, schedules, links to servers, and its follower has a password.</summary>
public sealed class DefuseFixture : IAsyncLifetime
{
    /// <summary>The password of the role that main follows production by; it is sought in all that a branch can see.</summary>
    public const string FollowerPassword = "follower-password-7Kq2Zx";

    public const string OtherPassword = "subscription-password-9Vw4Pt";

    /// <summary>What the event triggers of a stream put into their messages, so that the stream believes them.</summary>
    public const string MessageSecret = "message-secret-3Hn8Wd";

    readonly string _archive = TestFolder.New("archive");

    public bool HasCron { get; private set; }

    public PostgresServer Publisher { get; private set; } = null!;

    public BranchingFixture Branching { get; private set; } = null!;

    /// <summary>Grows while production archives.</summary>
    public string ArchiveMarker => Path.Combine(_archive, "archived");

    public async ValueTask InitializeAsync()
    {
        PostgresUser.Own(_archive);
        HasCron = TestServers.Newest.OffersLibrary("pg_cron");
        Publisher = await TestServers.StartAsync(["wal_level = logical"]);
        await ExecuteAsync(Publisher.ConnectionString(), "CREATE TABLE fed (x int PRIMARY KEY); CREATE PUBLICATION fed_pub FOR TABLE fed");
        Branching = new BranchingFixture
        {
            ProductionSettings =
            [
                $"archive_command = 'echo %f >> {ArchiveMarker}'", "max_prepared_transactions = 5",
                .. HasCron ? ["shared_preload_libraries = 'pg_cron'", "cron.database_name = 'bank'", "cron.use_background_workers = on", "max_worker_processes = 20"] : Array.Empty<string>(),
            ],
            Prepare = PrepareAsync,
        };
        await Branching.InitializeAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await Branching.DisposeAsync();
        await Publisher.DisposeAsync();
    }

    async Task<string> PrepareAsync(PostgresServer production)
    {
        var bank = production.ConnectionString("bank");
        await ExecuteAsync(bank, $"""
            CREATE ROLE follower LOGIN REPLICATION PASSWORD '{FollowerPassword}';
            GRANT pg_read_all_settings, pg_monitor TO follower;
            CREATE TABLE fed (x int PRIMARY KEY);
            CREATE TABLE ticks (at timestamptz);
            CREATE SCHEMA tributary;
            CREATE TABLE tributary.ddl_setting (only_row boolean PRIMARY KEY DEFAULT true, token text NOT NULL);
            INSERT INTO tributary.ddl_setting (token) VALUES ('{MessageSecret}');
            """);
        await ExecuteAsync(bank, $"CREATE SUBSCRIPTION feed CONNECTION 'host=127.0.0.1 port={Publisher.Port} user=postgres dbname=postgres password={OtherPassword}' PUBLICATION fed_pub");
        if (HasCron)
        {
            await ExecuteAsync(bank, "CREATE EXTENSION pg_cron");
            await ExecuteAsync(bank, "SELECT cron.schedule('tick', '* * * * *', 'INSERT INTO ticks VALUES (clock_timestamp())')");
        }

        // What people keep beside Postgres's own files.
        foreach (var file in new[] { "conf.d/secret.conf", "log/postgresql.log", "private.pem" })
        {
            var path = Path.Combine(production.DataDirectory, file);
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            await File.WriteAllTextAsync(path, $"# {FollowerPassword}\n", Token);
            PostgresUser.Own(Path.GetDirectoryName(path)!, path);
        }

        return $"postgresql://follower:{FollowerPassword}@127.0.0.1:{production.Port}/bank";
    }
}
