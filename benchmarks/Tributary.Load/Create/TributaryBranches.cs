using System.Diagnostics;
using System.Net.Http.Json;
using System.Text.Json;
using Npgsql;
using Tributary.Postgres.Programs;

namespace Tributary.Load.Create;

/// <summary>
/// Tributary follows a production with the same data, under load; a branch is asked for over the API and entered through the gateway with
/// the ordinary driver.
/// </summary>
sealed class TributaryBranches : IBranchMaker, IAsyncDisposable
{
    // A shop in its best hour: production goes on, so seeds and spares are made meanwhile as they are on a server in use.
    const int ProductionWriters = 4;
    const double ProductionPerSecond = 1000;
    static readonly string[] ProductionTransaction = ["UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = 1 + ($2 * 7919 + $1) % 2000000"];

    readonly PostgresServer _production;
    readonly TributaryServer _tributary;
    readonly SteadyWriters _writers;
    readonly bool _asOfNow;

    TributaryBranches(PostgresServer production, TributaryServer tributary, SteadyWriters writers, bool asOfNow) =>
        (_production, _tributary, _writers, _asOfNow) = (production, tributary, writers, asOfNow);

    public static string Description => $"{ProductionPerSecond:0} tps on production meanwhile";

    /// <summary>The server that is followed.</summary>
    public PostgresServer Production => _production;

    public Role Role => Role.Ours;

    public string Contestant => "tributary";

    public double CpuMs => ProcessMeter.CpuMs(_tributary.ProcessId);

    /// <summary>Starts a production and Tributary on it, and waits for the first seed.</summary>
    /// <param name="asOfNow">Branches are of the moment of the request, and entered by a write; else of the newest seed, and entered by a read.</param>
    /// <exception cref="ChildProcessException">One of them did not start; the message holds its last words.</exception>
    public static async Task<TributaryBranches> StartAsync(PostgresInstallation installation, string folder, bool asOfNow, CancellationToken cancellationToken)
    {
        var production = await PostgresServer.CreateAsync(installation, Path.Combine(folder, "production"), ["wal_level = logical", "shared_buffers = 64MB"], cancellationToken);
        try
        {
            await SeedDirectory.FillAsync(production, cancellationToken);
            var tributary = await TributaryServer.StartAsync(
                folder, [$"source: {{ url: '{production.Url()}' }}", "branching: { driver: btrfs, pool-size: 8GiB }", "gateway: { listen: 127.0.0.1:0 }"],
                static status => status.GetProperty("branching").TryGetProperty("seeds", out var seeds) && seeds.GetArrayLength() > 0, cancellationToken);
            var writers = SteadyWriters.Start(
                production.ConnectionString(), ProductionWriters, ProductionPerSecond, ProductionTransaction, countsFrom: 0, static (_, _, _) => { }, cancellationToken);
            return new TributaryBranches(production, tributary, writers, asOfNow);
        }
        catch
        {
            await production.DisposeAsync();
            throw;
        }
    }

    public async Task<MadeBranch> MakeAsync(string name, CancellationToken cancellationToken)
    {
        if (_asOfNow)
            await _tributary.WaitAsync(static status => status.GetProperty("branching").GetProperty("sparesReady").GetInt32() > 0, cancellationToken);
        var memoryBefore = ProcessMeter.TreeBytes(_tributary.ProcessId);
        var started = Stopwatch.GetTimestamp();
        using var answer = await _tributary.Api.PostAsJsonAsync("v1/branches", new { name, fromSeed = !_asOfNow }, cancellationToken);
        var body = await answer.Content.ReadFromJsonAsync<JsonElement>(cancellationToken);
        if (!answer.IsSuccessStatusCode)
            throw new InvalidOperationException($"Tributary refused the branch {name}: {body}");
        var created = Stopwatch.GetElapsedTime(started);
        await using (var connection = new NpgsqlConnection(ConnectionString(body)))
        {
            await connection.OpenAsync(cancellationToken);
            await using var command = new NpgsqlCommand(_asOfNow ? SeedDirectory.FirstWrite : SeedDirectory.FirstRowQuery, connection);
            var row = await command.ExecuteScalarAsync(cancellationToken);
            if ($"{row}" != SeedDirectory.FirstRow)
                throw new InvalidOperationException($"The branch {name} answered {row} instead of {SeedDirectory.FirstRow}.");
            var elapsed = Stopwatch.GetElapsedTime(started);
            return new MadeBranch(
                elapsed, [("create over the API", created), ("connect, wake, query", elapsed - created)],
                ProcessMeter.TreeBytes(_tributary.ProcessId) - memoryBefore, () => RemoveAsync(name));
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _writers.DisposeAsync();
        await _tributary.DisposeAsync();
        await _production.DisposeAsync();
    }

    async ValueTask RemoveAsync(string name)
    {
        using var answer = await _tributary.Api.DeleteAsync(new Uri($"v1/branches/{name}", UriKind.Relative), CancellationToken.None);
        answer.EnsureSuccessStatusCode();
    }

    // Each branch is entered once, so a pool of connections would only keep branches awake.
    static string ConnectionString(JsonElement branch) => new NpgsqlConnectionStringBuilder
    {
        Host = branch.GetProperty("host").GetString(),
        Port = branch.GetProperty("port").GetInt32(),
        Username = branch.GetProperty("user").GetString(),
        Password = Uri.UnescapeDataString(new Uri(branch.GetProperty("url").GetString()!).UserInfo.Split(':')[1]),
        Database = branch.GetProperty("database").GetString(),
        Options = $"-c branch={branch.GetProperty("name").GetString()}",
        Pooling = false,
    }.ConnectionString;
}
