using Microsoft.Extensions.Time.Testing;
using Tributary.Branching.Following;
using Tributary.Testing;
using static Tributary.Branching.Tests.BranchingFixture;

namespace Tributary.Branching.Tests;

/// <summary>A production that the pool has no room for is not read again and again.</summary>
public sealed class BackupRoomTests(BranchingFixture fixture) : IClassFixture<BranchingFixture>
{
    const long Mebibyte = 1L << 20;

    [Fact]
    public async Task A_copy_without_room_leaves_nothing_on_production_says_what_it_takes_and_is_made_once_there_is_room()
    {
        TestRequirement.Of(fixture.Manager.Status.Driver == "btrfs", "A pool of a size of its own needs btrfs and root.");
        await ExecuteAsync(fixture.Production.ConnectionString("bank"), "CREATE TABLE wide AS SELECT i, repeat('x', 1500) AS text FROM generate_series(1, 100000) i");
        var narrow = fixture.Options with { StateDirectory = TestFolder.New("narrow"), PoolBytesMax = 256 * Mebibyte, SlotName = "narrow" };
        await using (var run = await ManagerRun.StartAsync(narrow))
        {
            await UntilAsync(() => run.Manager.Status.LastError is not null, () => $"no refusal: {run.Manager.Status}");
            Assert.Matches(@"The base backup of .* takes at least \d{3} MiB, and the pool has room for \d+, .*branching\.pool-size", run.Manager.Status.LastError!);
            await UntilAsync(
                async () => await ScalarAsync(fixture.Production.ConnectionString(), "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'narrow'") is 0L,
                () => "the slot of the refused copy is still there");
            Assert.False(Directory.Exists(Path.Combine(narrow.StateDirectory, "pool", "main")));
        }

        await using var wider = await ManagerRun.StartAsync(narrow with { PoolBytesMax = 1024 * Mebibyte });
        await UntilAsync(() => wider.Manager.Status.Seeds.Count > 0, () => $"no seed: {wider.Manager.Status}");
    }

    [Fact]
    public async Task A_refused_size_holds_until_there_is_room_or_production_may_have_changed()
    {
        var time = new FakeTimeProvider();
        var free = 500 * Mebibyte;
        var room = new BackupRoom(fixture.Options, _ => Task.FromResult(free), time);
        await room.LookAsync(Token);
        Assert.False(room.IsExceededBy("waiting for checkpoint\r"));
        Assert.False(room.IsExceededBy("     0/102400 kB (0%), 0/1 tablespace"));
        Assert.True(room.IsExceededBy("     0/409600 kB (0%), 0/1 tablespace"));
        Assert.Contains("takes at least 400 MiB, and the pool has room for 372,", room.Exceeded().Error.Message, StringComparison.Ordinal);

        var again = await Assert.ThrowsAsync<BranchingException>(() => room.LookAsync(Token));
        Assert.Equal(BranchErrorKind.PoolFull, again.Error.Kind);
        time.Advance(TimeSpan.FromMinutes(11));
        await room.LookAsync(Token);
        Assert.True(room.IsExceededBy("     0/409600 kB (0%), 0/1 tablespace"));
        free = 600 * Mebibyte;
        await room.LookAsync(Token);
        Assert.False(room.IsExceededBy("     0/409600 kB (0%), 0/1 tablespace"));
    }
}
