using Npgsql;
using Tributary.Postgres.Programs;

namespace Tributary.Load.Decode;

/// <summary>
/// How fast a slot is read and decoded, against Postgres's own client, which decodes nothing: the same log from the same position for each.
/// 1. Write the log behind a slot. 2. Let the contestants read it in turn, each from a copy of that slot. 3. Compare the medians.
/// </summary>
sealed class DecodeBenchmark : IBenchmark
{
    const int Rounds = 3;

    public string Name => "decode";

    public string Work => "Row changes a second out of a replication slot, decoded and dropped";

    public RatioGoal Goal => new("our rate / pg_recvlogical's rate", 0.95, LowerIsBetter: false);

    public async Task<BenchmarkOutcome> RunAsync(CancellationToken cancellationToken)
    {
        // Step 1: Write the log behind a slot.
        var installation = PostgresInstallation.FindNewest();
        using var folder = new ScratchFolder("decode");
        await using var server = await PostgresServer.CreateAsync(
            installation, folder.Below("server"),
            ["wal_level = logical", "synchronous_commit = off", "fsync = off", "shared_buffers = 256MB", "max_wal_size = 8GB", "autovacuum = off", "logical_decoding_work_mem = 256MB"],
            cancellationToken);
        var (start, end) = await MixedChanges.WriteAsync(server.ConnectionString(), cancellationToken);

        // Step 2: Let the contestants read it in turn, each from a copy of that slot. The first round fills caches and compiles code.
        Tally[] tallies = [new(new TributarySource(server, MixedChanges.Publication, start, end)), new(new PgRecvLogical(server, MixedChanges.Publication, end))];
        for (var round = 0; round <= Rounds; round++)
        {
            foreach (var tally in tallies)
                await tally.RunAsync(server, $"decode_{round}", counts: round > 0, cancellationToken);
        }

        // Step 3: Compare the medians.
        return new BenchmarkOutcome(
            [.. tallies.Select(tally => tally.Measurement)],
            tallies[0].RowsPerSecond / tallies[1].RowsPerSecond,
            $"{MixedChanges.Rows:#,0} row changes in transactions of 1, 10 and 100; median of {Rounds}; CPU of the reader for all of it; PostgreSQL {installation.Major}; "
                + $"{Environment.ProcessorCount} cores, which the WAL sender shares");
    }

    sealed class Tally(IDecoder decoder)
    {
        readonly List<DecodeRun> _runs = [];

        public double RowsPerSecond => MixedChanges.Rows / Median(run => run.Elapsed.TotalSeconds);

        public Measurement Measurement => new(
            decoder.Role, decoder.Contestant, $"{RowsPerSecond / 1000:0} k row changes a second", Median(run => run.CpuMs), (long)Median(run => run.MemoryBytes));

        public async Task RunAsync(PostgresServer server, string slot, bool counts, CancellationToken cancellationToken)
        {
            await using var connection = new NpgsqlConnection(server.ConnectionString());
            await connection.OpenAsync(cancellationToken);
            await MixedChanges.ScalarAsync(connection, $"SELECT pg_copy_logical_replication_slot('{MixedChanges.BaseSlot}', '{slot}')::text", cancellationToken);
            var run = await decoder.RunAsync(slot, cancellationToken);
            await MixedChanges.ScalarAsync(connection, $"SELECT pg_drop_replication_slot('{slot}')::text", cancellationToken);
            if (run.Rows is { } rows && rows != MixedChanges.Rows)
                throw new ChildProcessException($"{decoder.Contestant} decoded {rows:#,0} row changes of {MixedChanges.Rows:#,0}");
            if (counts)
                _runs.Add(run);
        }

        double Median(Func<DecodeRun, double> of) => _runs.Select(of).Order().ElementAt(_runs.Count / 2);
    }
}
