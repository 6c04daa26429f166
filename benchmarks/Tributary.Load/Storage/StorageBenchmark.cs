using Npgsql;
using Tributary.Contracts;
using Tributary.Postgres.Programs;

namespace Tributary.Load.Storage;

/// <summary>
/// What many branches take on the disk that each have changed a little, against main alone.
/// 1. Follow a production. 2. Make the branches and change a part of each. 3. Wait until all are asleep. 4. Measure the pool and its parts.
/// </summary>
sealed class StorageBenchmark : IBenchmark
{
    /// <summary>Half a second each at most.</summary>
    const int ListsMax = 60;

    const int Branches = 50;
    const double ChangedShare = 0.001;
    const int GigabytesDefault = 10;

    static readonly TimeSpan PollInterval = TimeSpan.FromSeconds(1);

    int _gigabytes = GigabytesDefault;

    public string Name => "storage";

    public string Work => $"Bytes in the pool with {Branches} branches that have each changed {ChangedShare:0.0 %} of main's bytes";

    public RatioGoal Goal => new("all bytes in the pool / bytes of main", 1.06, LowerIsBetter: true);

    public string? Configure(IReadOnlyList<string> words)
    {
        if (words.Count == 0)
            return null;
        return words is ["--size", var text] && int.TryParse(text, out _gigabytes) && _gigabytes > 0 ? null : "[--size GB]";
    }

    public async Task<BenchmarkOutcome> RunAsync(CancellationToken cancellationToken)
    {
        // Step 1: Follow a production.
        var installation = PostgresInstallation.FindNewest();
        var bytes = (long)_gigabytes << 30;
        await using var pool = await LoopPool.CreateAsync((2 * bytes) + LoopPool.BytesDefault, cancellationToken);
        await using var followed = await FollowedProduction.StartInAsync(
            installation, pool, "tributary", ", idle-timeout: 5s", (server, token) => WideTable.FillAsync(server, bytes, token), cancellationToken);
        await followed.WaitForSpareAsync(cancellationToken);
        var before = await MeasureAsync(followed, pool, cancellationToken);

        // Step 2: Make the branches and change a part of each.
        var logBytes = 0L;
        for (var number = 0; number < Branches; number++)
        {
            var branch = await followed.CreateBranchAsync(new BranchCreateRequest { Name = $"storage-{number}", FromSeed = true }, cancellationToken);
            logBytes += await ChangeAsync(branch, number, bytes, cancellationToken);
        }

        // Step 3: Wait until all are asleep.
        while ((await followed.StatusAsync(cancellationToken)).Running > 0)
            await Task.Delay(PollInterval, TimeProvider.System, cancellationToken);

        // Step 4: Measure the pool and its parts.
        var after = await MeasureAsync(followed, pool, cancellationToken);
        var branches = await followed.BranchesAsync(cancellationToken);
        // A list does not wait for the bytes of very many.
        for (var i = 0; i < ListsMax && branches.Any(static branch => branch.ExclusiveBytes is null); i++)
            branches = await followed.BranchesAsync(cancellationToken);
        var changed = ChangedShare * bytes;
        return new BenchmarkOutcome(
            [
                new Measurement(Role.Ours, $"pool, {Branches} branches", Megabytes(after.PoolUsedBytes), null, null),
                new Measurement(Role.Part, "main", Megabytes(after.MainBytes), null, null),
                new Measurement(Role.Part, "seeds, spare, archive, books", Megabytes(before.PoolUsedBytes - before.MainBytes), null, null),
                new Measurement(Role.Part, "a branch", Megabytes((after.PoolUsedBytes - before.PoolUsedBytes) / Branches), null, null),
                new Measurement(Role.Part, "a branch, as the server says", Megabytes(branches.Sum(static branch => branch.ExclusiveBytes ?? 0) / Branches), null, null),
                new Measurement(Role.Part, "a branch, its log of the change", Megabytes(logBytes / Branches), null, null),
                new Measurement(Role.Ceiling, $"main, and {Branches} times the change", Megabytes(after.MainBytes + (long)(Branches * changed)), null, null),
            ],
            after.PoolUsedBytes!.Value / (double)after.MainBytes!.Value,
            $"{_gigabytes} GB in rows of {WideTable.RowBytes} bytes; each branch updates one run of rows, whose old and new versions together are {changed / (1 << 20):0.0} MB; "
            + $"all asleep; btrfs, nodatacow; PostgreSQL {installation.Major}");
    }

    // An update writes the page of the old version and that of the new one. Answers how much log it has written.
    static async Task<long> ChangeAsync(BranchResponse branch, int number, long bytes, CancellationToken cancellationToken)
    {
        var rows = (long)(ChangedShare * bytes / 2 / WideTable.RowBytes);
        var first = WideTable.RowsOf(bytes) / Branches * number;
        await using var connection = new NpgsqlConnection(FollowedProduction.ConnectionString(branch));
        await connection.OpenAsync(cancellationToken);
        var before = await LogPositionAsync(connection, cancellationToken);
        await using var update = new NpgsqlCommand("UPDATE wide SET filler = reverse(filler) WHERE id > $1 AND id <= $1 + $2", connection);
        update.Parameters.AddRange(new NpgsqlParameter[] { new() { Value = first }, new() { Value = rows } });
        if (await update.ExecuteNonQueryAsync(cancellationToken) != rows)
            throw new InvalidOperationException($"The branch {branch.Name} does not hold production's rows.");
        return await LogPositionAsync(connection, cancellationToken) - before;
    }

    static async Task<long> LogPositionAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var position = new NpgsqlCommand("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint", connection);
        return (long)(await position.ExecuteScalarAsync(cancellationToken))!;
    }

    static async Task<BranchingStatusResponse> MeasureAsync(FollowedProduction followed, LoopPool pool, CancellationToken cancellationToken)
    {
        // Space is taken when data is written out, and given back some time after a volume is deleted.
        foreach (var arguments in new string[][] { ["filesystem", "sync", pool.Path], ["subvolume", "sync", pool.Path], ["filesystem", "sync", pool.Path] })
            (await ChildProcesses.RunAsync(new ChildProcessSpec("btrfs", arguments), cancellationToken)).EnsureSucceeded($"btrfs {string.Join(' ', arguments)}");
        return await followed.StatusAsync(cancellationToken);
    }

    static string Megabytes(long? bytes) => $"{bytes / 1048576.0:#,0.0} MB";
}
