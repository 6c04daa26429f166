using Tributary.Postgres;
using Tributary.Postgres.Programs;
using Tributary.Streaming.Sources.Spooling;
using Tributary.Testing;

namespace Tributary.Streaming.Tests;

/// <summary>The folder for large transactions, and what goes wrong with it.</summary>
public sealed class SpoolTests
{
    const string Schema = "CREATE TABLE item (id int PRIMARY KEY, body text)";

    static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public void The_checksum_is_the_one_of_the_standard()
    {
        // RFC 3720, appendix B.4.
        Assert.Equal(0x8A9136AAu, Crc32C.Of(new byte[32]));
        Assert.Equal(0x62A8AB43u, Crc32C.Of([.. Enumerable.Repeat((byte)0xFF, 32)]));
        Assert.Equal(0x46DD794Eu, Crc32C.Of([.. Enumerable.Range(0, 32).Select(i => (byte)i)]));
        Assert.Equal(0xE3069283u, Crc32C.Of("123456789"u8));
    }

    [Fact]
    public async Task A_flipped_bit_is_found_and_a_restart_carries_the_transaction()
    {
        await using var stream = await StreamHarness.CreateAsync(Schema);
        stream.Options = stream.Options with { TransactionBytesMax = 64 * 1024, SpoolPieceBytes = 16 * 1024 };
        var logger = stream.LoggerFactory.CreateLogger("test");
        stream.Start(new StreamPipeline(
            stream.Options, () => new Streaming.Sources.ReplicationSource(stream.Options, TimeProvider.System), () => new SpoilingTarget(stream, new Streaming.Targets.Postgres.PostgresTarget(stream.Options, TimeProvider.System, logger)),
            new Streaming.Copying.InitialCopy(stream.Options, TimeProvider.System), TimeProvider.System, logger));
        await stream.CatchUpAsync();

        await stream.SourceAsync("INSERT INTO item SELECT i, repeat('secret', 20) FROM generate_series(1, 2000) i");
        var failure = await stream.FailureAsync();
        Assert.Equal(StreamErrorKind.Spool, failure.Kind);
        Assert.Contains("checksum", failure.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", $"{failure}", StringComparison.Ordinal);
        Assert.Equal(0L, await StreamHarness.ScalarAsync(stream.Target, "SELECT count(*) FROM item"));
        await stream.StartAndCatchUpAsync();

        await stream.AssertEqualAsync();
    }

    [Fact]
    public async Task A_bound_that_is_exceeded_stops_the_stream_and_a_higher_one_lets_it_go_on()
    {
        await using var stream = await StreamHarness.CreateAsync(Schema);
        stream.Options = stream.Options with { TransactionBytesMax = 64 * 1024, SpoolPieceBytes = 16 * 1024, SpoolBytesMax = 100_000 };
        await stream.StartAndCatchUpAsync();

        await stream.SourceAsync("INSERT INTO item SELECT i, repeat('x', 200) FROM generate_series(1, 2000) i");
        var failure = await stream.FailureAsync();
        Assert.Equal(StreamErrorKind.SpoolFull, failure.Kind);
        Assert.Contains(stream.Options.SpoolFolder, failure.Message, StringComparison.Ordinal);
        Assert.Contains(nameof(StreamOptions.SpoolBytesMax), failure.Message, StringComparison.Ordinal);
        stream.Options = stream.Options with { SpoolBytesMax = 0 };
        await stream.StartAndCatchUpAsync();

        await stream.AssertEqualAsync();
    }

    [Fact]
    public async Task A_full_disk_stops_the_stream_and_room_lets_it_go_on()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "Only root may mount a small disk.");
        await using var stream = await StreamHarness.CreateAsync(Schema);
        var disk = TestFolder.New("disk");
        await RunAsync("mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk);
        try
        {
            stream.Options = stream.Options with { TransactionBytesMax = 64 * 1024, SpoolPieceBytes = 16 * 1024, SpoolFolder = Path.Combine(disk, "spool"), SpoolReserveBytes = 0 };
            await stream.StartAndCatchUpAsync();
            await stream.SourceAsync("INSERT INTO item SELECT i, repeat('x', 200) FROM generate_series(1, 5000) i");
            var failure = await stream.FailureAsync();
            Assert.Equal(StreamErrorKind.SpoolFull, failure.Kind);
            Assert.Contains(disk, failure.Message, StringComparison.Ordinal);

            await RunAsync("mount", "-o", "remount,size=64m", disk);
            await stream.StartAndCatchUpAsync();
            await stream.AssertEqualAsync();
            await stream.StopAsync();
        }
        finally
        {
            await RunAsync("umount", "-l", disk);
        }
    }

    [Fact]
    public async Task Two_streams_cannot_share_a_folder_and_what_a_dead_one_left_is_removed()
    {
        var options = new StreamOptions { Name = "one", Source = Any, Target = Any, SpoolFolder = TestFolder.New("spool") };
        var left = Path.Combine(options.SpoolFolder, "7.spool");
        await File.WriteAllTextAsync(left, "left", Cancelled);
        using var first = new SpoolFolder(options);
        first.Clean();
        Assert.False(File.Exists(left));

        using var second = new SpoolFolder(options);
        var failure = Assert.Throws<StreamException>(second.Clean);

        Assert.Equal(StreamErrorKind.Spool, failure.Kind);
        Assert.Contains(options.SpoolFolder, failure.Message, StringComparison.Ordinal);
    }

    static PostgresUrl Any => new() { Host = "localhost", User = "any", Database = "any" };

    static async Task RunAsync(string program, params string[] arguments) =>
        (await ChildProcesses.RunAsync(new ChildProcessSpec(program, arguments), Cancelled)).EnsureSucceeded(program);

    /// <summary>Flips a bit of the spool before the transaction is read from it.</summary>
    sealed class SpoilingTarget(StreamHarness stream, ITarget inner) : ITarget
    {
        public Task<Checkpoint?> OpenAsync(CancellationToken cancellationToken) => inner.OpenAsync(cancellationToken);

        public Task<Checkpoint> BeginCopyAsync(SourceIdentity source, CancellationToken cancellationToken) => inner.BeginCopyAsync(source, cancellationToken);

        public Task<Checkpoint> CompleteCopyAsync(Lsn position, CancellationToken cancellationToken) => inner.CompleteCopyAsync(position, cancellationToken);

        public Task<WriteOutcome> WriteAsync(TransactionBatch batch, CancellationToken cancellationToken)
        {
            if (batch.Transactions is [{ IsSpooled: true }])
            {
                using var file = new FileStream(Assert.Single(Directory.GetFiles(stream.Options.SpoolFolder, "*.spool")), FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
                file.Position = file.Length / 2;
                var value = file.ReadByte();
                file.Position--;
                file.WriteByte((byte)(value ^ 4));
            }

            return inner.WriteAsync(batch, cancellationToken);
        }

        public ValueTask DisposeAsync() => inner.DisposeAsync();
    }
}
