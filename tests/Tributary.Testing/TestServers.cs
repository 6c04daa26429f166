using System.Collections.Concurrent;
using System.Globalization;
using Npgsql;
using Tributary.Postgres.Programs;
using Xunit;

namespace Tributary.Testing;

/// <summary>
/// Real Postgres servers for tests. One server a test assembly is shared through <see cref="SharedAsync"/>; a test makes its own database in it,
/// so that tests do not see each other. <see cref="TestRun"/> ends them after the last test, and the kernel where the process ends earlier.
/// </summary>
public static class TestServers
{
    /// <summary>The major versions of Postgres that Tributary supports.</summary>
    public static TheoryData<int> Majors => [13, 14, 15, 16, 17, 18];

    /// <summary>
    /// The programs that tests run where the version does not matter to them: the machine's own, or those of the major version that
    /// TRIBUTARY_TEST_POSTGRES names, so that the same tests can be run again on another version.
    /// </summary>
    public static PostgresInstallation Newest { get; } = Environment.GetEnvironmentVariable("TRIBUTARY_TEST_POSTGRES") is { Length: > 0 } major
        ? PostgresInstallation.Find(int.Parse(major, NumberStyles.None, CultureInfo.InvariantCulture))
        : PostgresInstallation.FindNewest();

    static readonly string[] LogicalSettings = ["wal_level = logical", "max_wal_senders = 20", "max_replication_slots = 200", "max_prepared_transactions = 10"];

    static readonly Lazy<Task<PostgresServer>> Shared = new(() => StartAsync(LogicalSettings));

    static readonly ConcurrentDictionary<int, Lazy<Task<PostgresServer>>> ByMajor = [];

    public static Task<PostgresServer> SharedAsync() => Shared.Value;

    /// <summary>
    /// A server of one major version, shared by all tests of the assembly like <see cref="SharedAsync"/>. Without such an installation the test is
    /// skipped with the reason; where CI is true it fails, so that a run never counts a version that it did not meet.
    /// </summary>
    public static Task<PostgresServer> ForMajorAsync(int major) => ByMajor.GetOrAdd(major, wanted => new Lazy<Task<PostgresServer>>(() => StartMajorAsync(wanted))).Value;

    /// <summary>A server of the test's own, with the fastest settings that keep crash safety within the process.</summary>
    public static Task<PostgresServer> StartAsync(IReadOnlyList<string> settings) => StartAsync(Newest, settings);

    public static async Task<PostgresServer> StartAsync(PostgresInstallation installation, IReadOnlyList<string> settings) =>
        await PostgresServer.CreateAsync(
            installation, TestFolder.New("pg"),
            ["shared_buffers = 32MB", "synchronous_commit = off", "max_connections = 100", "fsync = off", .. settings],
            TestContext.Current.CancellationToken);

    /// <summary>Ends the servers that tests of the assembly shared. One that failed to start has nothing to end.</summary>
    internal static async Task StopSharedAsync()
    {
        foreach (var started in ByMajor.Values.Append(Shared).Where(server => server.IsValueCreated).Select(server => server.Value))
        {
            if (started.IsCompletedSuccessfully)
                await (await started).DisposeAsync();
        }
    }

    static Task<PostgresServer> StartMajorAsync(int major) => StartAsync(Installation(major), [.. LogicalSettings, "logical_decoding_work_mem = 64kB"]);

    /// <summary>The programs of one major version. Without them the test is skipped, or fails, as <see cref="ForMajorAsync"/> says.</summary>
    public static PostgresInstallation Installation(int major)
    {
        if (PostgresInstallation.FindAll().FirstOrDefault(found => found.Major == major) is { } installation)
            return installation;
        var reason = $"PostgreSQL {major} is not on this machine: ./test fetches it, or name the folder of its programs in TRIBUTARY_POSTGRES_BIN.";
        if (Environment.GetEnvironmentVariable("CI") == "true")
            Assert.Fail(reason);
        Assert.Skip(reason);
        throw new InvalidOperationException(reason);
    }

    /// <summary>A new, empty database with a unique name; answers its connection string.</summary>
    public static async Task<string> NewDatabaseAsync(this PostgresServer server, string prefix = "t")
    {
        var name = $"{prefix}_{Guid.NewGuid():N}"[..24];
        await using var connection = new NpgsqlConnection(server.ConnectionString());
        await connection.OpenAsync(TestContext.Current.CancellationToken);
        await using var command = new NpgsqlCommand($"CREATE DATABASE {name}", connection);
        try
        {
            await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
        }
        catch (NpgsqlException exception) when (exception is not PostgresException)
        {
            // Only the server's log says why a link is lost, and it is gone with the run.
            throw new InvalidOperationException($"CREATE DATABASE on PostgreSQL {server.Installation.Major} lost its link; the server's log ends: {string.Join(" | ", File.ReadLines(server.LogFile).TakeLast(20))}", exception);
        }

        return server.ConnectionString(name);
    }
}
