using System.Diagnostics;
using System.Globalization;
using Tributary.Contracts;
using Tributary.Load.Create;
using Tributary.Postgres.Programs;

namespace Tributary.Load.Scale;

/// <summary>
/// Branches of the newest seed of a main with so much data. Main is of its own and loaded by an import, so that each size takes its space once;
/// what a branch of a seed costs does not depend on how main came to its data.
/// </summary>
sealed class SizedBranches : IBranchMaker, IAsyncDisposable
{
    readonly TributaryServer _server;
    readonly int _gigabytes;

    SizedBranches(TributaryServer server, int gigabytes) => (_server, _gigabytes) = (server, gigabytes);

    public Role Role => Role.Ours;

    public string Contestant => $"tributary, {_gigabytes} GB";

    public double CpuMs => ProcessMeter.CpuMs(_server.ProcessId);

    /// <exception cref="ChildProcessException">The server did not start.</exception>
    /// <exception cref="InvalidOperationException">The import was refused.</exception>
    public static async Task<SizedBranches> StartAsync(LoopPool pool, int gigabytes, CancellationToken cancellationToken)
    {
        var name = $"size-{gigabytes}";
        var own = Directory.CreateDirectory(Path.Combine(pool.Path, name)).FullName;
        var folder = Directory.CreateDirectory(Path.Combine(pool.Folder, name)).FullName;
        var server = await TributaryServer.StartAsync(
            folder, [$"branching: {{ following: none, driver: btrfs, pool: {own} }}", "gateway: { listen: 127.0.0.1:0 }"],
            static status => status.GetProperty("branching").TryGetProperty("seeds", out var seeds) && seeds.GetArrayLength() > 0, cancellationToken);
        try
        {
            var dump = Path.Combine(folder, "wide.sql");
            await File.WriteAllTextAsync(dump, Dump((long)gigabytes << 30), cancellationToken);
            FollowedProduction.Wanted($"import {gigabytes} GB", await server.Client.ImportAsync(new BranchImportRequest(dump), static _ => { }, cancellationToken));
            return new SizedBranches(server, gigabytes);
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }

    public async Task<MadeBranch> MakeAsync(string name, CancellationToken cancellationToken)
    {
        var memoryBefore = ProcessMeter.TreeBytes(_server.ProcessId);
        var started = Stopwatch.GetTimestamp();
        var branch = FollowedProduction.Wanted(
            $"make the branch {name}", await _server.Client.CreateBranchAsync(new BranchCreateRequest { Name = name, FromSeed = true }, cancellationToken));
        var created = Stopwatch.GetElapsedTime(started);
        await FollowedProduction.AskAsync(branch, WideTable.FirstRowQuery, WideTable.FirstRow, cancellationToken);
        var elapsed = Stopwatch.GetElapsedTime(started);
        return new MadeBranch(
            elapsed, [("create over the API", created), ("connect, wake, query", elapsed - created)], ProcessMeter.TreeBytes(_server.ProcessId) - memoryBefore,
            async () => FollowedProduction.Wanted($"delete the branch {name}", await _server.Client.DeleteBranchAsync(name, purge: false, CancellationToken.None)));
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    // What is made and filled in one transaction is not logged. The comments are what a dump is known by.
    static string Dump(long bytes) => string.Create(CultureInfo.InvariantCulture,
        $"""
        --
        -- PostgreSQL database dump
        --
        BEGIN;
        CREATE TABLE wide (id bigint NOT NULL, filler text NOT NULL);
        INSERT INTO wide SELECT id, repeat(md5(id::text), 12) FROM generate_series(1, {WideTable.RowsOf(bytes)}) id;
        ALTER TABLE wide ADD PRIMARY KEY (id);
        COMMIT;

        """);
}
