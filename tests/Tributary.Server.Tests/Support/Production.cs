using Npgsql;
using Tributary.Postgres;
using Tributary.Postgres.Programs;
using Tributary.Testing;

namespace Tributary.Server.Tests.Support;

/// <summary>Configurations for servers of this test run, and what tests ask of production.</summary>
static class Production
{
    public static CancellationToken Token => TestContext.Current.CancellationToken;

    public static PostgresUrl Url(string text) => PostgresUrl.TryParse(text, out var url, out var error) ? url : throw new ArgumentException(error);

    /// <summary>A new database on the shared server.</summary>
    public static async Task<PostgresUrl> DatabaseAsync(this PostgresServer server, string sql)
    {
        var connectionString = await server.NewDatabaseAsync();
        await ExecuteAsync(connectionString, sql);
        return Url(server.Url(new NpgsqlConnectionStringBuilder(connectionString).Database!));
    }

    /// <summary>A folder that does not exist yet, as short as a socket's path must be.</summary>
    public static string NewState() => Path.Combine(TestFolder.New("s"), "state");

    public static TributaryConfiguration Configuration(PostgresUrl source, string? state = null)
    {
        state ??= NewState();
        return new TributaryConfiguration
        {
            StateDirectory = state,
            Source = source,
            Gateway = new GatewayConfiguration { Listen = new(System.Net.IPAddress.Loopback, 0) },
            Api = new ApiConfiguration { Socket = TributaryConfiguration.DefaultSocket(state) },
        };
    }

    public static TributaryConfiguration WithBranching(this TributaryConfiguration configuration, string slot) => configuration with
    {
        Branching = new Branching.BranchingOptions
        {
            StateDirectory = configuration.StateDirectory,
            Source = configuration.Source,
            SlotName = slot,
            PoolBytesMax = 4L << 30,
            SeedInterval = TimeSpan.FromSeconds(1),
        },
    };

    public static TributaryConfiguration WithStream(this TributaryConfiguration configuration, string name, PostgresUrl target) =>
        configuration with { Streams = [.. configuration.Streams, new StreamConfiguration { Name = name, Target = new PostgresTargetConfiguration(target) }] };

    /// <summary>Enters the branch through the gateway as its owner.</summary>
    public static string ConnectionString(this Contracts.BranchResponse branch) =>
        $"Host={branch.Host};Port={branch.Port};Username={branch.User};Password={Uri.UnescapeDataString(new Uri(branch.Url).UserInfo.Split(':', 2)[1])};Database={branch.Database};Options=-c branch={branch.Name};Pooling=false";

    public static async Task ExecuteAsync(string connectionString, string sql)
    {
        await using var connection = new NpgsqlConnection(connectionString + ";Pooling=false");
        await connection.OpenAsync(Token);
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(Token);
    }

    public static async Task<T> ScalarAsync<T>(string connectionString, string sql)
    {
        await using var connection = new NpgsqlConnection(connectionString + ";Pooling=false");
        await connection.OpenAsync(Token);
        await using var command = new NpgsqlCommand(sql, connection);
        return (T)(await command.ExecuteScalarAsync(Token))!;
    }

    public static bool IsMounted(string folder) => File.ReadAllText("/proc/mounts").Contains(folder, StringComparison.Ordinal);

    public static async Task UntilAsync(Func<Task<bool>> condition, string what)
    {
        var started = TimeProvider.System.GetTimestamp();
        while (!await condition())
        {
            Assert.True(TimeProvider.System.GetElapsedTime(started) < TimeSpan.FromSeconds(60), $"waited 60 s for {what}");
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, Token);
        }
    }
}
