using System.Globalization;
using Tributary.Postgres;
using static Tributary.Branching.Tests.BranchingFixture;

namespace Tributary.Branching.Tests;

/// <summary>Branches of production's past: exactly the moment that was asked for.</summary>
public sealed class PointTests(BranchingFixture fixture) : IClassFixture<BranchingFixture>
{
    [Fact]
    public async Task A_branch_of_a_position_holds_what_was_committed_before_it_and_nothing_after()
    {
        await ArchiveAsync();
        await ExecuteAsync(Bank, "CREATE TABLE IF NOT EXISTS steps (x int)");
        var positions = new List<string>();
        for (var step = 0; step < 5; step++)
        {
            await ExecuteAsync(Bank, $"INSERT INTO steps VALUES ({step})");
            positions.Add((string)(await ScalarAsync(Bank, "SELECT pg_current_wal_insert_lsn()::text"))!);
            if (step == 2)
                await ExecuteAsync(Bank, "SELECT pg_switch_wal(); CHECKPOINT");
        }

        foreach (var step in new[] { 0, 3, 4 })
        {
            var branch = await CreateAsync($"step-{step}", BranchPoint.At(Lsn.Parse(positions[step])));

            // Nothing of the log that the recovery read, which is of production's timeline.
            var log = Directory.EnumerateFiles(Path.Combine(fixture.Options.StateDirectory, "pool", Branch.VolumeOf(branch.Number), "pg_wal")).Select(Path.GetFileName).Where(name => name!.Length == 24);
            Assert.Single(log.Select(name => name![..8]).Distinct());

            await using var lease = await fixture.ConnectAsync(branch);
            Assert.Equal(step, await ScalarAsync(ConnectionString(lease), "SELECT max(x) FROM steps"));
            Assert.Equal((long)step + 1, await ScalarAsync(ConnectionString(lease), "SELECT count(*) FROM steps"));
            await ExecuteAsync(ConnectionString(lease), "INSERT INTO steps VALUES (99)");
        }
    }

    [Fact]
    public async Task A_branch_of_a_moment_holds_what_was_committed_until_then()
    {
        await ArchiveAsync();
        await ExecuteAsync(Bank, "CREATE TABLE IF NOT EXISTS moments (x int)");
        await ExecuteAsync(Bank, "INSERT INTO moments VALUES (1)");
        var between = await ClockAsync();
        await ExecuteAsync(Bank, "INSERT INTO moments VALUES (2)");
        var last = await ClockAsync();

        var earlier = await CreateAsync("between", BranchPoint.At(between));
        var later = await CreateAsync("last", BranchPoint.At(last));

        await using var first = await fixture.ConnectAsync(earlier);
        await using var second = await fixture.ConnectAsync(later);
        Assert.Equal(1, await ScalarAsync(ConnectionString(first), "SELECT max(x) FROM moments"));
        Assert.Equal(2, await ScalarAsync(ConnectionString(second), "SELECT max(x) FROM moments"));
        Assert.Equal(between, earlier.DataTime);
        Assert.Equal(DBNull.Value, await ScalarAsync(ConnectionString(first, user: "postgres"), "SELECT rolpassword FROM pg_authid WHERE rolname = 'app'"));
        Assert.Equal("f", await ScalarAsync(ConnectionString(first), "SELECT pg_is_in_recovery()::text::char(1)::text"));
    }

    [Fact]
    public async Task A_moment_outside_the_archive_is_refused_with_what_it_has()
    {
        await ArchiveAsync();

        var early = await fixture.Manager.CreateAsync(Request("too-early", BranchPoint.At(new DateTimeOffset(2020, 1, 1, 0, 0, 0, TimeSpan.Zero))), Token);
        var late = await fixture.Manager.CreateAsync(Request("too-late", BranchPoint.At(TimeProvider.System.GetUtcNow().AddDays(1))), Token);

        foreach (var refused in new[] { early, late })
        {
            Assert.Equal(BranchErrorKind.InvalidRequest, refused.Error?.Kind);
            Assert.Matches(@"outside the archive, which reaches from \d{4}-.*Z \([0-9A-F]+/[0-9A-F]+\) to \d{4}-.*Z", refused.Error!.Message);
        }

        Assert.Equal(BranchErrorKind.NotFound, fixture.Manager.Find("too-early").Error?.Kind);
    }

    [Fact]
    public async Task A_branch_as_of_now_can_be_reset_to_its_birth()
    {
        await ArchiveAsync();
        await ExecuteAsync(Bank, "CREATE TABLE IF NOT EXISTS births (x int); INSERT INTO births VALUES (1)");
        var branch = await fixture.CreateAsync("born", BranchOrigin.Now);
        await using (var lease = await fixture.ConnectAsync(branch))
            await ExecuteAsync(ConnectionString(lease), "DROP TABLE births");
        await ExecuteAsync(Bank, "INSERT INTO births VALUES (2)");

        var reset = await fixture.Manager.ResetAsync(branch.Name, ResetTarget.Birth, Token);

        Assert.True(reset.Succeeded, reset.Error?.Message);
        await using var after = await fixture.ConnectAsync(reset.Value);
        Assert.Equal(1, await ScalarAsync(ConnectionString(after), "SELECT max(x) FROM births"));
    }

    string Bank => fixture.Production.ConnectionString("bank");

    static BranchRequest Request(string name, BranchPoint point) => new(BranchName.Parse(name), BranchOrigin.Point) { Point = point };

    async Task<Branch> CreateAsync(string name, BranchPoint point)
    {
        var made = await fixture.Manager.CreateAsync(Request(name, point), Token);
        Assert.True(made.Succeeded, made.Error?.Message);
        return made.Value;
    }

    async Task<DateTimeOffset> ClockAsync() =>
        DateTimeOffset.Parse((string)(await ScalarAsync(Bank, "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"))!, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal);

    // The first image is there.
    Task ArchiveAsync() => UntilAsync(() => fixture.Manager.Status.PastSince is not null, () => $"no base image: {fixture.Manager.Status}");
}
