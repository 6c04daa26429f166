using System.Diagnostics;
using Npgsql;
using Tributary.Contracts;
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

    readonly FollowedProduction _followed;
    readonly SteadyWriters _writers;
    readonly bool _asOfNow;

    TributaryBranches(FollowedProduction followed, SteadyWriters writers, bool asOfNow) => (_followed, _writers, _asOfNow) = (followed, writers, asOfNow);

    public static string Description => $"{ProductionPerSecond:0} tps on production meanwhile";

    /// <summary>The server that is followed.</summary>
    public PostgresServer Production => _followed.Production;

    public Role Role => Role.Ours;

    public string Contestant => "tributary";

    public double CpuMs => ProcessMeter.CpuMs(_followed.Tributary.ProcessId);

    /// <summary>Starts a production and Tributary on it, and waits for the first seed.</summary>
    /// <param name="asOfNow">Branches are of the moment of the request, and entered by a write; else of the newest seed, and entered by a read.</param>
    /// <exception cref="ChildProcessException">One of them did not start; the message holds its last words.</exception>
    public static async Task<TributaryBranches> StartAsync(PostgresInstallation installation, string folder, bool asOfNow, CancellationToken cancellationToken)
    {
        var followed = await FollowedProduction.StartAsync(installation, folder, "driver: btrfs, pool-size: 8GiB", SeedDirectory.FillAsync, cancellationToken);
        var writers = SteadyWriters.Start(
            followed.Production.ConnectionString(), ProductionWriters, ProductionPerSecond, ProductionTransaction, countsFrom: 0, static (_, _, _) => { }, cancellationToken);
        return new TributaryBranches(followed, writers, asOfNow);
    }

    public async Task<MadeBranch> MakeAsync(string name, CancellationToken cancellationToken)
    {
        if (_asOfNow)
            await _followed.WaitForSpareAsync(cancellationToken);
        var memoryBefore = ProcessMeter.TreeBytes(_followed.Tributary.ProcessId);
        var started = Stopwatch.GetTimestamp();
        var branch = await _followed.CreateBranchAsync(new BranchCreateRequest { Name = name, FromSeed = !_asOfNow }, cancellationToken);
        var created = Stopwatch.GetElapsedTime(started);
        await using var source = Source(branch);
        await using var command = source.CreateCommand(_asOfNow ? SeedDirectory.FirstWrite : SeedDirectory.FirstRowQuery);
        var row = await command.ExecuteScalarAsync(cancellationToken);
        if ($"{row}" != SeedDirectory.FirstRow)
            throw new InvalidOperationException($"The branch {name} answered {row} instead of {SeedDirectory.FirstRow}.");
        var elapsed = Stopwatch.GetElapsedTime(started);
        return new MadeBranch(
            elapsed, [("create over the API", created), ("connect, wake, query", elapsed - created)],
            ProcessMeter.TreeBytes(_followed.Tributary.ProcessId) - memoryBefore, () => _followed.DeleteBranchAsync(name));
    }

    // psql, with which the bare shell asks, reads no types before its first question. The driver, with which a bare promotion is asked, does.
    NpgsqlDataSource Source(BranchResponse branch)
    {
        var source = new NpgsqlDataSourceBuilder(FollowedProduction.ConnectionString(branch));
        if (!_asOfNow)
            source.ConfigureTypeLoading(static types => types.EnableTypeLoading(false));
        return source.Build();
    }

    public async ValueTask DisposeAsync()
    {
        await _writers.DisposeAsync();
        await _followed.DisposeAsync();
    }
}
