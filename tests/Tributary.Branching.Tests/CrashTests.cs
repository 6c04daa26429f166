using System.Globalization;
using Npgsql;
using Tributary.Branching.Compute;
using static Tributary.Branching.Tests.BranchingFixture;

namespace Tributary.Branching.Tests;

/// <summary>A branch whose Postgres ends by itself is there again without anybody's doing, or says why not.</summary>
public sealed class CrashTests(BranchingFixture fixture) : IClassFixture<BranchingFixture>
{
    [Fact]
    public async Task A_server_that_ends_under_a_lease_is_started_again_at_once()
    {
        var branch = await fixture.CreateAsync("crash-held");
        await using var lease = await fixture.ConnectAsync(branch);
        await KeepAsync(lease);

        await KillAsync(branch);

        // Nobody asks the manager for it again: the held socket path answers by itself.
        await UntilAsync(() => Reads(lease), () => "the branch does not come back");
        Assert.Equal(1, fixture.Manager.CrashesOf(branch));
        Assert.Equal(ComputeState.Running, fixture.Manager.Find("crash-held").Value?.Compute);
    }

    [Fact]
    public async Task A_server_that_ends_without_a_lease_stays_down_until_somebody_connects()
    {
        var branch = await fixture.CreateAsync("crash-idle");
        await using (var lease = await fixture.ConnectAsync(branch))
            await KeepAsync(lease);

        await KillAsync(branch);

        await UntilAsync(() => fixture.Manager.Find("crash-idle").Value?.Compute == ComputeState.Asleep, () => "the branch is not asleep");
        await using var again = await fixture.ConnectAsync(branch);
        Assert.True(Reads(again));
        Assert.Equal(1, fixture.Manager.CrashesOf(branch));
    }

    [Fact]
    public async Task A_server_that_cannot_start_says_why_and_is_tried_again_by_the_next_connection()
    {
        var branch = await fixture.CreateAsync("crash-broken");
        await using (var lease = await fixture.ConnectAsync(branch))
        {
            // More memory than any machine has.
            await ExecuteAsync(ConnectionString(lease), "ALTER SYSTEM SET shared_buffers = '8000GB'");
        }

        await fixture.StopIdleAsync();
        var refused = await fixture.Manager.ConnectAsync(branch.Name, Token);

        Assert.Equal(BranchErrorKind.ComputeFailed, refused.Error?.Kind);
        Assert.Contains("memory", refused.Error!.Message, StringComparison.Ordinal);
        await File.WriteAllTextAsync(Path.Combine(fixture.Options.StateDirectory, "pool", "branches", $"b{branch.Number}", "postgresql.auto.conf"), "", Token);
        await using var mended = await fixture.ConnectAsync(branch);
        Assert.Equal(1000L, await ScalarAsync(ConnectionString(mended), "SELECT count(*) FROM accounts"));
    }

    // A commit of a branch is asynchronous; what a checkpoint after it holds survives any end.
    static async Task KeepAsync(ComputeLease lease)
    {
        await ExecuteAsync(ConnectionString(lease), "CREATE TABLE kept AS SELECT 7 AS x");
        await ExecuteAsync(ConnectionString(lease), "CHECKPOINT");
    }

    // Kills process 1 of the branch's namespace from outside, as the kernel does when memory ends.
    async Task KillAsync(Branch branch)
    {
        var data = Path.Combine(fixture.Options.StateDirectory, "pool", "branches", $"b{branch.Number}");
        var outer = Directory.EnumerateDirectories("/proc").Select(Path.GetFileName).Where(name => int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out _))
            .First(name => CommandLine(name!) is ["bwrap", ..] words && words.Contains(data));
        var server = ProcessTree.Children(int.Parse(outer!, CultureInfo.InvariantCulture))[0];
        await Postgres.Programs.ChildProcesses.RunAsync(new Postgres.Programs.ChildProcessSpec("/bin/kill", ["-s", "KILL", $"{server}"]), Token);
    }

    static bool Reads(ComputeLease lease)
    {
        try
        {
            return ScalarAsync(ConnectionString(lease), "SELECT x FROM kept").GetAwaiter().GetResult() is 7;
        }
        catch (NpgsqlException)
        {
            return false;
        }
    }
}
