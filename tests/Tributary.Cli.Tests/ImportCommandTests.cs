using System.Text.Json;
using Tributary.Cli.Tests.Support;
using Tributary.Testing;

namespace Tributary.Cli.Tests;

/// <summary>From a dump to a row in a branch, without a production: by the commands that a person types.</summary>
public sealed class ImportCommandTests
{
    [Fact]
    public async Task A_dump_becomes_a_branch_in_two_commands_and_what_is_refused_has_its_exit_code()
    {
        await using var server = await RunningServer.StartWithoutProductionAsync();
        var folder = TestFolder.New("dump");
        await File.WriteAllTextAsync(Path.Combine(folder, "shop.sql"), "--\n-- PostgreSQL database dump\n--\nCREATE TABLE orders AS SELECT generate_series(1, 7) AS id;\n", TributaryProgram.Token);
        await File.WriteAllTextAsync(Path.Combine(folder, "letter.txt"), "Dear Sir or Madam,\n", TributaryProgram.Token);
        while ((await server.AskAsync("branch", "create", "too-early")).ExitCode == 10)
            await Task.Delay(TimeSpan.FromMilliseconds(200), TimeProvider.System, TributaryProgram.Token);

        var imported = await InAsync(folder, server, "shop.sql");
        var json = await InAsync(folder, server, "shop.sql", "--database", "copy", "-o", "json");
        var again = await InAsync(folder, server, "shop.sql");
        var letter = await InAsync(folder, server, "letter.txt");
        var created = await server.AskAsync("branch", "create", "try-it");
        var rows = await TributaryProgram.RunAsync("branch", "connect", "try-it", "--socket", server.Socket, "--", "-Atc", "SELECT count(*) FROM orders");
        var status = await server.AskAsync("status");

        Assert.True(imported.ExitCode == 0, imported.StandardError);
        Assert.Matches(@"database +app\n", imported.StandardOutput);
        Assert.Contains("making a seed", imported.StandardError, StringComparison.Ordinal);
        using var document = JsonDocument.Parse(json.StandardOutput);
        Assert.Equal((0, "", "copy"), (json.ExitCode, json.StandardError, document.RootElement.GetProperty("database").GetString()));
        Assert.Equal((9, 2, 0), (again.ExitCode, letter.ExitCode, created.ExitCode));
        Assert.Contains("it is left as it is", again.StandardError, StringComparison.Ordinal);
        Assert.Contains("letter.txt is no dump by pg_dump", letter.StandardError, StringComparison.Ordinal);
        Assert.Equal((0, "7"), (rows.ExitCode, rows.StandardOutput.Trim()));
        Assert.Contains("main of its own", status.StandardOutput, StringComparison.Ordinal);
        Assert.DoesNotContain("source", status.StandardOutput, StringComparison.Ordinal);
    }

    static Task<Tributary.Postgres.Programs.ChildProcessResult> InAsync(string folder, RunningServer server, string file, params string[] more) =>
        TributaryProgram.RunInAsync(folder, new Dictionary<string, string>(), ["branch", "import", file, "--socket", server.Socket, .. more]);
}
