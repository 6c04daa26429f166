using System.Diagnostics;
using Npgsql;
using Tributary.Postgres.Programs;
using Tributary.Streaming.Sources;
using Tributary.Streaming.Targets.Postgres;
using Tributary.Testing;
using Xunit.Sdk;

namespace Tributary.Streaming.Tests;

/// <summary>Exactly once, whatever dies.</summary>
public sealed class CrashTests
{
    static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Killing_the_process_at_any_moment_loses_and_doubles_nothing()
    {
        await using var stream = await StreamHarness.CreateAsync(BankLoad.Schema);
        await using var load = BankLoad.Start(stream.Source);
        var random = new Random(20261);

        for (var round = 0; round < 12; round++)
        {
            using var process = await StartProgramAsync(stream);
            await Task.Delay(TimeSpan.FromMilliseconds(random.Next(300, 1500)), TimeProvider.System, Cancelled);
            Assert.False(process.HasExited, $"The program ended by itself with code {(process.HasExited ? process.ExitCode : 0)}.");
            process.Kill();
            await process.WaitForExitAsync(Cancelled);
        }

        await load.StopAsync();
        await stream.StartAndCatchUpAsync();

        Assert.True(load.Transactions > 500, $"{load.Transactions} transactions are too few to meet a kill");
        await load.AssertCarriedAsync(stream);
    }

    [Fact]
    public async Task Killing_either_server_under_load_loses_and_doubles_nothing()
    {
        await using var source = await TestServers.StartAsync(["wal_level = logical"]);
        await using var target = await TestServers.StartAsync([]);
        await using var stream = await StreamHarness.CreateAsync(source, target, BankLoad.Schema);
        stream.Options = stream.Options with { ReconnectDelayMax = TimeSpan.FromMilliseconds(300) };
        await stream.StartAndCatchUpAsync();
        await using var load = BankLoad.Start(stream.Source);

        foreach (var server in (PostgresServer[])[target, source, target, source])
        {
            var before = stream.Pipeline!.Status.Transactions;
            await stream.WaitAsync(status => status.Transactions > before + 50);
            await CrashAsync(server);
        }

        var after = stream.Pipeline!.Status.Transactions;
        await stream.WaitAsync(status => status.Transactions > after + 50);
        await load.StopAsync();
        await stream.CatchUpAsync();

        Assert.True(stream.Pipeline.Status.Reconnections >= 4);
        await load.AssertCarriedAsync(stream);
    }

    [Fact]
    public async Task A_commit_whose_answer_is_lost_is_not_applied_twice()
    {
        var server = await TestServers.SharedAsync();
        await using var stream = await StreamHarness.CreateAsync("CREATE TABLE event (line text)");
        await using var proxy = new CuttingProxy(server.Port);
        stream.Options = stream.Options with { Target = stream.Options.Target with { Host = "127.0.0.1", Port = proxy.Port } };
        await stream.StartAndCatchUpAsync();

        for (var round = 1; round <= 3; round++)
        {
            proxy.WithholdAnswersAfter($"once {round}");
            await stream.SourceAsync($"INSERT INTO event VALUES ('once {round}')");
            await StreamHarness.UntilAsync(async () => (long)(await StreamHarness.ScalarAsync(stream.Target, "SELECT count(*) FROM event"))! == round);
            proxy.Cut();
            await stream.CatchUpAsync();
        }

        Assert.Equal(3, stream.Pipeline!.Status.Reconnections);
        await stream.AssertEqualAsync();
    }

    [Fact]
    public async Task A_target_that_hangs_does_not_cost_the_connection_to_the_source()
    {
        await using var source = await TestServers.StartAsync(["wal_level = logical", "wal_sender_timeout = 1s"]);
        await using var stream = await StreamHarness.CreateAsync(source, await TestServers.SharedAsync(), "CREATE TABLE event (line text)");
        await stream.StartAndCatchUpAsync();
        const string Sender = "SELECT pid::text FROM pg_stat_replication";
        var sender = await StreamHarness.ColumnAsync(stream.Source, Sender);
        var backends = await StreamHarness.ColumnAsync(
            stream.Target, $"SELECT pid::text FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'tributary {stream.Options.Name}'");
        Assert.Equal(stream.Options.ApplyConnections, backends.Count);

        foreach (var backend in backends)
            await SignalAsync("STOP", backend);
        try
        {
            await stream.SourceAsync("INSERT INTO event SELECT repeat('x', 100) FROM generate_series(1, 20000)");
            var stopped = (DateTime)(await StreamHarness.ScalarAsync(stream.Source, "SELECT clock_timestamp()"))!;
            await StreamHarness.UntilAsync(async () =>
                await StreamHarness.ScalarAsync(stream.Source, "SELECT max(reply_time) FROM pg_stat_replication") is DateTime reply && reply > stopped.AddSeconds(3));
        }
        finally
        {
            foreach (var backend in backends)
                await SignalAsync("CONT", backend);
        }

        await stream.CatchUpAsync();
        Assert.Equal(sender, await StreamHarness.ColumnAsync(stream.Source, Sender));
        Assert.Equal(0, stream.Pipeline!.Status.Reconnections);
        await stream.AssertEqualAsync();
    }

    [Fact]
    public async Task A_target_without_a_free_replication_origin_is_written_without_one()
    {
        await using var target = await TestServers.StartAsync(["max_replication_slots = 1"]);
        await using var holder = new NpgsqlConnection(target.ConnectionString() + ";Pooling=false");
        await holder.OpenAsync(Cancelled);
        await using (var taken = new NpgsqlCommand("SELECT pg_replication_origin_create('taken'); SELECT pg_replication_origin_session_setup('taken')", holder))
            await taken.ExecuteNonQueryAsync(Cancelled);
        await using var stream = await StreamHarness.CreateAsync(await TestServers.SharedAsync(), target, "CREATE TABLE event (id int PRIMARY KEY)");

        await stream.StartAndCatchUpAsync();
        await StreamHarness.ScalarAsync(stream.Source, "INSERT INTO event VALUES (1), (2) RETURNING 1");
        await stream.CatchUpAsync();

        Assert.Equal(2L, await StreamHarness.ScalarAsync(stream.Target, "SELECT count(*) FROM event"));
    }

    [Fact]
    public async Task Another_cluster_in_the_place_of_the_source_is_refused()
    {
        await using var other = await TestServers.StartAsync(["wal_level = logical"]);
        await using var stream = await StreamHarness.CreateAsync("CREATE TABLE event (line text)");
        await stream.StartAndCatchUpAsync();
        await stream.StopAsync();
        var impostor = stream.Options.Source with { Port = other.Port, Database = "postgres" };
        await StreamHarness.ScalarAsync(other.ConnectionString(), $"SELECT pg_create_logical_replication_slot('{stream.Options.SlotName}', 'pgoutput')");

        var genuine = stream.Options;
        stream.Options = genuine with { Source = impostor };
        stream.Start();
        var failure = await stream.FailureAsync();
        stream.Options = genuine;

        Assert.Equal(StreamErrorKind.Gap, failure.Kind);
        Assert.Contains("another database cluster", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_instance_that_was_stopped_and_replaced_writes_nothing_when_it_wakes()
    {
        await using var stream = await StreamHarness.CreateAsync(BankLoad.Schema);
        await using var load = BankLoad.Start(stream.Source);
        using var first = await StartProgramAsync(stream);
        await StreamHarness.UntilAsync(async () =>
            await StreamHarness.ScalarAsync(stream.Target, "SELECT to_regclass('tributary.progress') IS NOT NULL") is true &&
            await StreamHarness.ScalarAsync(stream.Target, "SELECT state FROM tributary.progress") is "streaming");

        await SignalAsync("STOP", $"{first.Id}");
        // What the loss of its host does in time: its sessions end at both sides.
        foreach (var side in (string[])[stream.Source, stream.Target])
            await StreamHarness.ScalarAsync(side, $"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE 'tributary {stream.Options.Name}%'");
        await stream.StartAndCatchUpAsync();
        await SignalAsync("CONT", $"{first.Id}");
        await first.WaitForExitAsync(Cancelled).WaitAsync(TimeSpan.FromSeconds(30), Cancelled);

        Assert.NotEqual(0, first.ExitCode);
        await load.StopAsync();
        await stream.CatchUpAsync();
        await load.AssertCarriedAsync(stream);
    }

    [Theory]
    [InlineData(StreamPhase.CopyingRows)]
    [InlineData(StreamPhase.Streaming)]
    public async Task A_write_with_an_older_epoch_is_refused_by_the_target(StreamPhase phase)
    {
        await using var stream = await StreamHarness.CreateAsync("CREATE TABLE event (line text); INSERT INTO event SELECT 'old' FROM generate_series(1, 300000)");

        stream.Start();
        await stream.WaitAsync(status => status.Phase == phase);
        await stream.TargetAsync("UPDATE tributary.progress SET epoch = epoch + 1");
        await stream.SourceAsync("INSERT INTO event VALUES ('new')");
        var failure = await stream.FailureAsync();

        Assert.Equal(StreamErrorKind.Fenced, failure.Kind);
        Assert.Equal(phase == StreamPhase.Streaming ? 300_000L : 0L, await StreamHarness.ScalarAsync(stream.Target, "SELECT count(*) FROM event"));
    }

    [Fact]
    public async Task The_comparison_finds_a_transaction_that_is_left_out()
    {
        await using var stream = await StreamHarness.CreateAsync(BankLoad.Schema);
        await using var load = BankLoad.Start(stream.Source);
        var logger = stream.LoggerFactory.CreateLogger("test");
        stream.Start(new StreamPipeline(
            stream.Options, () => new ReplicationSource(stream.Options, TimeProvider.System), () => new ForgetfulTarget(new PostgresTarget(stream.Options, TimeProvider.System, logger)),
            new Copying.InitialCopy(stream.Options, TimeProvider.System), TimeProvider.System, logger));

        await stream.WaitAsync(status => status.Transactions > 100);
        await load.StopAsync();
        await stream.CatchUpAsync();

        await Assert.ThrowsAnyAsync<XunitException>(() => load.AssertCarriedAsync(stream));
    }

    internal static Task<Process> StartProgramAsync(StreamHarness stream) => ChildProcesses.StartAsync(
        new ChildProcessSpec("env",
        [
            $"TRIBUTARY_STATE={stream.Options.SpoolFolder}", "dotnet", Path.Combine(AppContext.BaseDirectory, "../../Tributary.Cli", Path.GetFileName(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory)), "tributary.dll"),
            "stream", "run", "--name", stream.Options.Name, "--source", $"{stream.Options.Source}", "--target", $"{stream.Options.Target}",
        ])
        { LogFile = Path.Combine(TestFolder.New("run"), "log"), ParentDeathSignal = "KILL" }, Cancelled);

    static async Task SignalAsync(string signal, string process) =>
        (await ChildProcesses.RunAsync(new ChildProcessSpec("/bin/kill", ["-s", signal, process]), Cancelled)).EnsureSucceeded("kill");

    static async Task CrashAsync(PostgresServer server)
    {
        await server.StopAsync("KILL", Cancelled);
        await StreamHarness.UntilAsync(async () =>
        {
            try
            {
                await server.StartAsync(Cancelled);
                return true;
            }
            catch (ChildProcessException)
            {
                // Until the last session has noticed its postmaster's end, the cluster's memory is in use.
                return false;
            }
        });
    }

    /// <summary>Leaves out its third batch but saves the position behind it.</summary>
    sealed class ForgetfulTarget(ITarget inner) : ITarget
    {
        int _batches;

        public Task<Checkpoint?> OpenAsync(CancellationToken cancellationToken) => inner.OpenAsync(cancellationToken);

        public Task<Checkpoint> BeginCopyAsync(SourceIdentity source, CancellationToken cancellationToken) => inner.BeginCopyAsync(source, cancellationToken);

        public Task<Checkpoint> CompleteCopyAsync(Postgres.Lsn position, CancellationToken cancellationToken) => inner.CompleteCopyAsync(position, cancellationToken);

        public Task<WriteOutcome> WriteAsync(TransactionBatch batch, CancellationToken cancellationToken) => inner.WriteAsync(
            batch.Transactions.Count > 0 && ++_batches == 3 ? batch with { Transactions = [.. batch.Transactions.Skip(1)] } : batch, cancellationToken);

        public ValueTask DisposeAsync() => inner.DisposeAsync();
    }
}
