using Tributary.Branching.Compute;
using Tributary.Testing;
using static Tributary.Branching.Tests.BranchingFixture;

namespace Tributary.Branching.Tests;

public sealed class ComputeLogTests(BranchingFixture fixture) : IClassFixture<BranchingFixture>
{
    [Fact]
    public void A_long_log_is_cut_and_its_newest_part_is_kept_as_the_older_file()
    {
        var log = new ComputeLog(Path.Combine(TestFolder.New("log"), "postgres.log"), BytesMax: 100);
        Write(log, Enumerable.Range(1, 40));
        log.Bound();
        Write(log, [41, 42]);

        Assert.Equal(100, new FileInfo(log.OlderFile).Length);
        Assert.InRange(new FileInfo(log.File).Length, 1, 100);
        Assert.Equal(["line 40", "line 41", "line 42"], log.Tail(3).Lines);
    }

    [Fact]
    public void What_ended_a_server_is_told_however_many_lines_its_end_takes_and_an_earlier_servers_is_not()
    {
        var folder = TestFolder.New("ended");
        File.WriteAllLines(Path.Combine(folder, "postgres.log"),
        [
            "[1] LOG:  starting PostgreSQL 15.6", "[1] FATAL:  of an earlier start",
            "[1] LOG:  starting PostgreSQL 15.6", "[2] ERROR:  could not write to file: No space left on device", "[4] FATAL:  checkpoint request failed",
            .. Enumerable.Range(1, 6).Select(line => $"[1] LOG:  line {line}"),
        ]);

        var told = new ComputeFolder(folder).LastLogLines().Split(" | ");

        Assert.Equal(["[2] ERROR:  could not write to file: No space left on device", "[4] FATAL:  checkpoint request failed", .. Enumerable.Range(2, 5).Select(line => $"[1] LOG:  line {line}")], told);
    }

    [Theory]
    [InlineData("main/postgres.log")]
    [InlineData("archive.log")]
    public async Task Nor_do_the_logs_of_main_and_of_the_archive(string name)
    {
        await using var small = new BranchingFixture { Adjust = static options => options with { BranchLogBytesMax = 100_000 } };
        await small.InitializeAsync();
        var log = Path.Combine(small.Options.StateDirectory, "run", name);
        await File.AppendAllTextAsync(log, new string('x', 1_000_000), Token);

        await UntilAsync(() => new FileInfo(log).Length < 1_000_000, () => $"{log} has {new FileInfo(log).Length} bytes");

        Assert.Equal(100_000, new FileInfo(log + ".1").Length);
    }

    [Fact]
    public async Task A_branch_that_logs_without_end_does_not_fill_the_disk()
    {
        await using var small = new BranchingFixture { Adjust = static options => options with { BranchLogBytesMax = 100_000 } };
        await small.InitializeAsync();
        var branch = await small.CreateAsync("talkative");
        await using var lease = await small.ConnectAsync(branch);
        var log = small.Manager.LogOf(branch);

        await ExecuteAsync(ConnectionString(lease), "DO $$ BEGIN FOR i IN 1..20000 LOOP RAISE LOG 'a line that is repeated without end, number %', i; END LOOP; END $$");

        await UntilAsync(() => File.Exists(log.OlderFile) && new FileInfo(log.File).Length <= log.BytesMax, () => $"{new FileInfo(log.File).Length} bytes");
        Assert.InRange(new FileInfo(log.OlderFile).Length, 1, log.BytesMax);
    }

    [Fact]
    public async Task A_branch_that_has_never_run_has_an_empty_log()
    {
        var branch = await fixture.CreateAsync("silent");

        Assert.Empty(fixture.Manager.LogOf(branch).Tail(10).Lines);
    }

    static void Write(ComputeLog log, IEnumerable<int> numbers) => File.AppendAllLines(log.File, numbers.Select(number => $"line {number}"));
}
