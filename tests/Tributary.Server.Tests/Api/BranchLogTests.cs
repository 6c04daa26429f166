using Npgsql;
using Tributary.Contracts;
using Tributary.Postgres.Programs;
using Tributary.Server.Tests.Support;

namespace Tributary.Server.Tests.Api;

public sealed class BranchLogTests(BranchingServerFixture fixture) : IClassFixture<BranchingServerFixture>
{
    [Fact]
    public async Task A_log_is_shown_followed_and_ends_with_its_branch()
    {
        var made = (await fixture.CreateAsync("logged")).Value!;
        await RaiseAsync(made, "before the look");
        using var reader = new StreamReader((await fixture.Server.Client.OpenBranchLogAsync("logged", 50, follow: true, Production.Token)).Value!);
        await ReadUntilAsync(reader, "before the look");

        await RaiseAsync(made, "after the look");
        await ReadUntilAsync(reader, "after the look");
        await fixture.Server.Client.DeleteBranchAsync("logged", purge: true, Production.Token);
        await reader.ReadToEndAsync(Production.Token).WaitAsync(TimeSpan.FromSeconds(30), TimeProvider.System, Production.Token);
    }

    [Fact]
    public async Task As_many_lines_are_shown_as_are_asked_for()
    {
        var made = (await fixture.CreateAsync("counted")).Value!;
        for (var i = 0; i < 3; i++)
            await RaiseAsync(made, $"line {i}");

        using var reader = new StreamReader((await fixture.Server.Client.OpenBranchLogAsync("counted", 2, follow: false, Production.Token)).Value!);

        Assert.Equal(2, (await reader.ReadToEndAsync(Production.Token)).Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
    }

    [Fact]
    public async Task An_unknown_branch_and_a_number_out_of_range_are_refused()
    {
        var unknown = await fixture.Server.Client.OpenBranchLogAsync("nobody", 10, follow: false, Production.Token);
        var negative = await fixture.Server.Client.OpenBranchLogAsync("nobody", -1, follow: false, Production.Token);

        Assert.Equal(ProblemCodes.BranchNotFound, unknown.Problem?.Code);
        Assert.Equal(ProblemCodes.InvalidRequest, negative.Problem?.Code);
    }

    [Fact]
    public async Task A_client_is_told_through_the_gateway_why_its_branch_does_not_start()
    {
        var made = (await fixture.CreateAsync("unstartable")).Value!;
        // More memory than any machine has, met at the next start.
        await ExecuteAsync(made, "ALTER SYSTEM SET shared_buffers = '8000GB'");
        await KillAsync(Path.GetDirectoryName(Directory
            .EnumerateFiles(Path.Combine(fixture.Server.Configuration.StateDirectory, "pool", "branches"), "postgresql.auto.conf", SearchOption.AllDirectories)
            .Single(file => File.ReadAllText(file).Contains("8000GB", StringComparison.Ordinal)))!);
        var told = "";
        await Production.UntilAsync(async () =>
        {
            try
            {
                await ExecuteAsync(made, "SELECT 1");
                return false;
            }
            catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.CannotConnectNow && exception.MessageText.Contains("could not be started", StringComparison.Ordinal))
            {
                told = exception.MessageText;
                return true;
            }
            catch (NpgsqlException)
            {
                return false;
            }
        }, "the reason");
        Assert.Contains("memory", told, StringComparison.Ordinal);
    }

    // Process 1 of the sandbox that has the data directory in it: bubblewrap's only child.
    static async Task KillAsync(string dataDirectory)
    {
        var sandbox = Directory.EnumerateDirectories("/proc").Where(folder => char.IsAsciiDigit(Path.GetFileName(folder)[0])).First(folder => Words(folder) is ["bwrap", ..] words && words.Contains(dataDirectory));
        var server = (await File.ReadAllTextAsync(Path.Combine(sandbox, "task", Path.GetFileName(sandbox), "children"), Production.Token)).Split(' ')[0];
        await ChildProcesses.RunAsync(new ChildProcessSpec("/bin/kill", ["-s", "KILL", server]), Production.Token);
    }

    static string[] Words(string process)
    {
        try
        {
            return File.ReadAllText(Path.Combine(process, "cmdline")).Split('\0');
        }
        catch (IOException)
        {
            return [];
        }
    }

    static async Task ReadUntilAsync(StreamReader reader, string text)
    {
        while (await reader.ReadLineAsync(Production.Token).AsTask().WaitAsync(TimeSpan.FromSeconds(30), TimeProvider.System, Production.Token) is { } line)
        {
            if (line.Contains(text, StringComparison.Ordinal))
                return;
        }

        Assert.Fail($"the log ended without '{text}'");
    }

    static Task RaiseAsync(BranchResponse branch, string text) => ExecuteAsync(branch, $"DO $$ BEGIN RAISE LOG '{text}'; END $$");

    static Task ExecuteAsync(BranchResponse branch, string sql) =>
        Production.ExecuteAsync($"Host={branch.Host};Port={branch.Port};Username={branch.User};Password={new Uri(branch.Url).UserInfo.Split(':')[1]};Database={branch.Database};Options=-c branch={branch.Name}", sql);
}
