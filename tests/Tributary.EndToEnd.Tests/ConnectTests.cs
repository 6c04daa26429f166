using System.Diagnostics;
using Tributary.EndToEnd.Tests.Support;
using Tributary.Postgres.Programs;

namespace Tributary.EndToEnd.Tests;

/// <summary>How a person enters a branch, and what that wakes and lets sleep.</summary>
[Collection(SharedServerGroup.Name)]
public sealed class ConnectTests(SharedServer server)
{
    [Fact]
    public async Task Psql_enters_a_sleeping_branch_that_its_options_name()
    {
        var branch = await server.CreateByCommandAsync("by-options", "--from-seed");
        await server.FallsAsleepAsync("by-options");

        var answer = await Sql.PsqlAsync(
            $"host={branch.Host} port={branch.Port} user=branch_owner dbname=shop options='-c branch=by-options'", "SELECT count(*) FROM items", branch.Password());

        Assert.Equal("100", answer);
    }

    [Fact]
    public async Task Psql_enters_a_sleeping_branch_that_its_user_name_ends_with()
    {
        var branch = await server.CreateByCommandAsync("by-user");

        var answer = await Sql.PsqlAsync($"host={branch.Host} port={branch.Port} user=branch_owner.by-user dbname=shop", "SELECT name FROM items WHERE id = 7", branch.Password());

        Assert.Equal("item 7", answer);
    }

    [Fact]
    public async Task Psql_enters_a_sleeping_branch_by_the_url_that_its_creation_prints()
    {
        var branch = await server.CreateByCommandAsync("by-url");

        var answer = await Sql.PsqlAsync(branch.Url, "SELECT current_user || ' ' || (SELECT usesuper FROM pg_user WHERE usename = current_user)");

        Assert.Equal("branch_owner true", answer);
    }

    [Fact]
    public async Task Branch_connect_becomes_psql_with_its_input_and_exit_code()
    {
        await server.CreateByCommandAsync("by-connect");

        var asked = await TributaryProgram.RunAsync(["branch", "connect", "by-connect", "-c", server.Space.Configuration, "--", "-X", "-A", "-t"], input: "SELECT count(*) FROM items;\n");
        var wrong = await TributaryProgram.RunAsync(["branch", "connect", "by-connect", "-c", server.Space.Configuration, "--", "-X", "-c", "SELECT nonsense"]);

        Assert.Equal("100", asked.EnsureSucceeded("tributary branch connect").StandardOutput.Trim());
        Assert.Equal(1, wrong.ExitCode);
    }

    [Fact]
    public async Task A_branch_left_alone_sleeps_without_a_process_and_wakes_with_its_data()
    {
        var branch = await server.CreateByCommandAsync("sleeper");
        await Sql.PsqlAsync(branch.Url, "DELETE FROM items WHERE id > 10");

        await server.FallsAsleepAsync("sleeper");
        var answer = await Sql.PsqlAsync(branch.Url, "SELECT count(*) FROM items");

        Assert.Equal("10", answer);
    }

    [Fact]
    public async Task Ctrl_C_in_psql_cancels_what_runs_in_the_branch()
    {
        var branch = await server.CreateByCommandAsync("cancelled");
        using var psql = await ChildProcesses.StartAsync(
            Sql.Psql(branch.Url, "SELECT pg_sleep(60)") with { LogFile = Path.Combine(server.Space.Folder, "psql.log") }, TestContext.Current.CancellationToken);
        await Eventually.HoldsAsync(
            async () => (long)(await branch.AskAsync("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"))!, static sleeping => sleeping == 1,
            "psql's query runs", TimeSpan.FromSeconds(15));

        var pressed = Stopwatch.GetTimestamp();
        (await ChildProcesses.RunAsync(new ChildProcessSpec("/bin/kill", ["-s", "INT", $"{psql.Id}"]), TestContext.Current.CancellationToken)).EnsureSucceeded("kill");
        await psql.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);

        Assert.InRange(Stopwatch.GetElapsedTime(pressed), TimeSpan.Zero, TimeSpan.FromSeconds(2));
        Assert.Contains("canceling statement due to user request", await File.ReadAllTextAsync(Path.Combine(server.Space.Folder, "psql.log"), TestContext.Current.CancellationToken), StringComparison.Ordinal);
        Assert.Equal(0L, await branch.AskAsync("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"));
    }
}
