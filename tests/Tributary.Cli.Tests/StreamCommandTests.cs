using System.Text.Json;
using Npgsql;
using Tributary.Cli.Tests.Support;
using Tributary.Postgres.Programs;
using Tributary.Testing;

namespace Tributary.Cli.Tests;

public sealed class StreamCommandTests
{
    [Fact]
    public async Task Check_passes_and_names_what_a_target_lacks_with_the_statement_that_mends_it()
    {
        var postgres = await TestServers.SharedAsync();
        var source = postgres.Url(Database(await postgres.NewDatabaseAsync()));

        var good = await TributaryProgram.RunAsync("stream", "check", "--source", source, "--target", postgres.Url("postgres"));
        var bad = await TributaryProgram.RunAsync("stream", "check", "--source", source, "--target", postgres.Url("nowhere"));

        Assert.Equal((0, 6), (good.ExitCode, bad.ExitCode));
        Assert.Contains("all is well: stream replica can go from", good.StandardOutput, StringComparison.Ordinal);
        Assert.Contains("         CREATE DATABASE \"nowhere\";\n", bad.StandardOutput, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_stream_of_the_configuration_is_run_and_taken_back()
    {
        var postgres = await TestServers.SharedAsync();
        var (source, target) = (await postgres.NewDatabaseAsync(), await postgres.NewDatabaseAsync());
        await ScalarAsync(source, "CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO orders SELECT generate_series(1, 300); SELECT 1");
        var folder = TestFolder.New("stream");
        await File.WriteAllTextAsync(Path.Combine(folder, "tributary.yaml"), $$"""
            source: { url: "{{postgres.Url(Database(source))}}" }
            streams:
              - name: cli
                target: { postgres: { url: "{{postgres.Url(Database(target))}}" } }
              - name: other
                target: { postgres: { url: "{{postgres.Url("postgres")}}" } }
            """, TributaryProgram.Token);
        var none = new Dictionary<string, string>();
        using (var run = System.Diagnostics.Process.Start(TributaryProgram.StartInfo(folder, none, ["stream", "run", "cli", "-o", "json"]))!)
        {
            var whileItRuns = run.StandardError.ReadLineAsync(TributaryProgram.Token);
            await Until(async () => await ScalarAsync(target, "SELECT to_regclass('orders')::text") is "orders" && await ScalarAsync(target, "SELECT count(*) FROM orders") is 300L);
            await Until(async () => await ScalarAsync(target, "SELECT state FROM tributary.progress") is "streaming");
            var held = await TributaryProgram.RunInAsync(folder, none, "stream", "destroy", "cli", "--yes");
            Assert.Equal(11, held.ExitCode);
            (await ChildProcesses.RunAsync(new ChildProcessSpec("/bin/kill", ["-s", "INT", $"{run.Id}"]), TributaryProgram.Token)).EnsureSucceeded("kill");
            using var status = JsonDocument.Parse(await run.StandardOutput.ReadToEndAsync(TributaryProgram.Token));
            await run.WaitForExitAsync(TributaryProgram.Token);
            Assert.Equal((0, "stopped", 300), (run.ExitCode, status.RootElement.GetProperty("state").GetString(), status.RootElement.GetProperty("rowsCopied").GetInt32()));
            await whileItRuns;
        }

        var several = await TributaryProgram.RunInAsync(folder, none, "stream", "destroy", "--yes");
        var unknown = await TributaryProgram.RunInAsync(folder, none, "stream", "destroy", "clo", "--yes");
        var destroyed = await TributaryProgram.RunInAsync(folder, none, "stream", "destroy", "cli", "--drop-copied", "--yes");

        Assert.Equal((2, 4, 0), (several.ExitCode, unknown.ExitCode, destroyed.ExitCode));
        Assert.Contains("several streams: cli, other", several.StandardError, StringComparison.Ordinal);
        Assert.StartsWith("removed slot tributary_cli and publication tributary_cli at", destroyed.StandardOutput, StringComparison.Ordinal);
        Assert.Equal(0L, await ScalarAsync(source, "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'tributary_cli'"));
        Assert.Equal(DBNull.Value, await ScalarAsync(target, "SELECT to_regclass('orders')::text"));
    }

    [Fact]
    public async Task Init_says_what_is_ready_and_check_lists_its_findings_as_json()
    {
        var postgres = await TestServers.SharedAsync();
        var (source, target) = (await postgres.NewDatabaseAsync(), await postgres.NewDatabaseAsync());
        await ScalarAsync(source, "CREATE TABLE keyless (v text); SELECT 1");
        string[] selection = ["--source", postgres.Url(Database(source)), "--target", postgres.Url(Database(target)), "--name", "cli_init", "-o", "json"];

        var check = await TributaryProgram.RunAsync(["stream", "check", .. selection]);
        var init = await TributaryProgram.RunAsync(["stream", "init", .. selection]);
        var destroy = await TributaryProgram.RunAsync(["stream", "destroy", .. selection, "--yes"]);
        var nowhere = await TributaryProgram.RunAsync("stream", "init", "--source", postgres.Url("nowhere"), "--target", postgres.Url(Database(target)));

        Assert.Equal((0, 0, 0, 5), (check.ExitCode, init.ExitCode, destroy.ExitCode, nowhere.ExitCode));
        using var findings = JsonDocument.Parse(check.StandardOutput);
        Assert.Contains(findings.RootElement.GetProperty("findings").EnumerateArray(), finding =>
            finding.GetProperty("severity").GetString() == "warning" && finding.GetProperty("sql").GetString() == "ALTER TABLE \"public\".\"keyless\" REPLICA IDENTITY FULL;");
        Assert.Contains(findings.RootElement.GetProperty("findings").EnumerateArray(), finding => finding.GetProperty("severity").GetString() == "note");
        using var ready = JsonDocument.Parse(init.StandardOutput);
        Assert.Equal(("cli_init", 2), (ready.RootElement.GetProperty("stream").GetString(), ready.RootElement.GetProperty("ready").GetArrayLength()));
        Assert.Single(ready.RootElement.GetProperty("warnings").EnumerateArray());
        using var removed = JsonDocument.Parse(destroy.StandardOutput);
        Assert.Equal(2, removed.RootElement.GetProperty("removed").GetArrayLength());
    }

    static string Database(string connectionString) => new NpgsqlConnectionStringBuilder(connectionString).Database!;

    static async Task<object?> ScalarAsync(string connectionString, string sql)
    {
        await using var connection = new NpgsqlConnection(connectionString + ";Pooling=false");
        await connection.OpenAsync(TributaryProgram.Token);
        await using var command = new NpgsqlCommand(sql, connection);
        try
        {
            return await command.ExecuteScalarAsync(TributaryProgram.Token);
        }
        catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.UndefinedTable)
        {
            return null;
        }
    }

    static async Task Until(Func<Task<bool>> condition)
    {
        var started = TimeProvider.System.GetTimestamp();
        while (!await condition())
        {
            Assert.True(TimeProvider.System.GetElapsedTime(started) < TimeSpan.FromSeconds(60), "waited 60 s");
            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, TributaryProgram.Token);
        }
    }
}
